"""Tasks that the daemon owns: joined while they run, never after; visible and logged when nobody waits for them."""

from __future__ import annotations

import asyncio
import logging

import pytest

from cricket.errors import Internal
from cricket.lifecycle.operations import Operations
from cricket.types.stage import reports, stage


async def test_a_second_caller_joins_and_a_later_one_starts_anew() -> None:
    ops, runs, go = Operations(), [], asyncio.Event()

    async def work() -> int:
        runs.append(1)
        await go.wait()
        return len(runs)

    first, second = asyncio.ensure_future(ops.join("a", work)), asyncio.ensure_future(ops.join("a", work))
    await asyncio.sleep(0)
    go.set()
    assert await first == await second == 1
    assert await ops.join("a", work) == 2


async def test_what_has_just_ended_is_not_joined() -> None:
    """Between the end of a task and its being forgotten the loop may run somebody who asks for the same."""
    ops, outcomes = Operations(), []

    async def again() -> None:
        outcomes.append("again")

    async def fails() -> None:
        # Scheduled before the task ends, so it runs before what is scheduled by its end.
        asyncio.get_running_loop().call_soon(lambda: late.append(asyncio.ensure_future(ops.join("a", again))))
        raise Internal("the first")

    late: list[asyncio.Task[None]] = []
    with pytest.raises(Internal):
        await ops.join("a", fails)
    await late[0]
    assert outcomes == ["again"]


async def test_a_caller_that_goes_away_stops_nothing() -> None:
    ops, ended = Operations(), asyncio.Event()

    async def work() -> None:
        await asyncio.sleep(0)
        ended.set()
        raise Internal("nobody hears it")

    caller = asyncio.ensure_future(ops.join("a", work))
    await asyncio.sleep(0)
    caller.cancel()
    await asyncio.wait_for(ended.wait(), 1)
    await ops.drain(1)


async def test_background_work_shows_its_stage(caplog: pytest.LogCaptureFixture) -> None:
    ops, go = Operations(), asyncio.Event()

    async def work() -> None:
        with stage("waiting", "x1"):
            await go.wait()

    task = ops.background(work(), "clean up", "x1")
    await asyncio.sleep(0)
    (report,) = reports("x1")
    assert (report.method, report.stages[0].name) == ("clean up", "waiting")
    go.set()
    await task


async def test_an_unforeseen_error_of_background_work_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    async def work() -> None:
        raise KeyError("bug")

    with caplog.at_level(logging.ERROR):
        await Operations().background(work(), "clean up", "x1")
    assert "clean up of x1 failed" in caplog.text
