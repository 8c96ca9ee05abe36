"""Undo: what was pushed runs in reverse unless the verb has succeeded, whatever happens meanwhile."""

from __future__ import annotations

import asyncio

import pytest

from cricket.errors import Internal
from cricket.lifecycle.operations import Locks
from cricket.lifecycle.undo import Undo


async def test_steps_run_last_first_and_the_error_goes_on() -> None:
    done: list[int] = []

    async def second() -> None:
        done.append(2)

    with pytest.raises(Internal, match="the verb's own"):
        async with Undo() as undo:
            undo.push("one", lambda: done.append(1))
            undo.push("two", second)
            raise Internal("the verb's own")
    assert done == [2, 1]


async def test_a_failing_step_keeps_no_other_from_running(caplog: pytest.LogCaptureFixture) -> None:
    done: list[int] = []

    def fail() -> None:
        raise Internal("the mount is busy")

    with pytest.raises(ValueError, match="first"):
        async with Undo() as undo:
            undo.push("one", lambda: done.append(1))
            undo.push("unmount it", fail)
            undo.push("three", lambda: done.append(3))
            raise ValueError("first")
    assert done == [3, 1]
    assert "cannot unmount it: the mount is busy" in caplog.text


async def test_success_forgets_the_steps() -> None:
    async with Undo() as undo:
        undo.push("never", lambda: pytest.fail("undone"))
        undo.commit()
        undo.push("late", lambda: None)


async def test_leaving_without_commit_undoes_even_without_an_error() -> None:
    done: list[int] = []
    async with Undo() as undo:
        undo.push("one", lambda: done.append(1))
    assert done == [1]


async def test_cancellation_does_not_stop_it_and_the_lock_is_held_until_its_end() -> None:
    locks, going, let_go, done = Locks(), asyncio.Event(), asyncio.Event(), []

    async def slow() -> None:
        going.set()
        await let_go.wait()
        done.append("slow")

    async def verb() -> None:
        async with locks.hold("id"), Undo() as undo:
            undo.push("first", lambda: done.append("first"))
            undo.push("slow", slow)
            await asyncio.Event().wait()

    task = asyncio.ensure_future(verb())
    await asyncio.sleep(0)
    for _ in range(3):
        task.cancel()
        await going.wait()
    waiting = asyncio.ensure_future(locks.hold("id").__aenter__())
    await asyncio.sleep(0)
    assert not waiting.done()
    let_go.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert done == ["slow", "first"]
    await waiting
