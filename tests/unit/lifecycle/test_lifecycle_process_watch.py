"""Exits as pidfd, exit file and monitor tell them, in any order."""

from __future__ import annotations

import asyncio
import errno
import os
import subprocess
import time
from collections.abc import Iterator

import pytest

from cricket.errors import ResourceExhausted
from cricket.lifecycle import process_watch
from cricket.lifecycle.process_watch import UNKNOWN_EXIT, ProcessWatch


class _World:
    """A watch whose exit files and monitors are values."""

    def __init__(self) -> None:
        self.watch = ProcessWatch()
        self.reported: asyncio.Queue[tuple[str, int, str]] = asyncio.Queue()
        self.files: dict[str, tuple[int, int]] = {}
        self.monitors: set[str] = set()
        self.watch.on_exit = lambda i, code, _when, message: self.reported.put_nowait((i, code, message))
        self.watch.read_exit = self.files.get
        self.watch.monitor_alive = self.monitors.__contains__

    async def next(self) -> tuple[str, int, str]:
        return await asyncio.wait_for(self.reported.get(), 5)


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["sleep", "1000000"]) as process:
        yield process
        process.kill()


@pytest.fixture
async def world() -> _World:
    return _World()


async def test_an_exit_file_that_is_there_first_gives_the_code(world: _World, sleeper: subprocess.Popen[bytes]) -> None:
    world.watch.add("a", sleeper.pid)
    world.watch.exit_file("a", 3, 1)
    assert await world.next() == ("a", 3, "")
    sleeper.kill()
    world.watch.signal("a", 9)
    world.watch.settled("a")
    assert world.reported.empty()


async def test_a_monitor_that_writes_late_is_waited_for(world: _World, sleeper: subprocess.Popen[bytes]) -> None:
    world.monitors.add("a")
    world.watch.add("a", sleeper.pid)
    sleeper.kill()
    sleeper.wait()
    await asyncio.sleep(0.2)  # it is still at work
    assert world.reported.empty()
    world.files["a"] = (7, 1)
    assert await world.next() == ("a", 7, "")


async def test_a_dead_monitor_is_not_waited_for(world: _World, sleeper: subprocess.Popen[bytes]) -> None:
    world.watch.add("a", sleeper.pid)
    began = time.monotonic()
    sleeper.kill()
    name, code, message = await world.next()
    assert (name, code) == ("a", UNKNOWN_EXIT) and "monitor" in message
    assert time.monotonic() - began < 1


async def test_a_monitor_that_hangs_is_given_up(
    world: _World, sleeper: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process_watch, "_PATIENCE", 0.1)
    world.monitors.add("a")
    world.watch.add("a", sleeper.pid)
    sleeper.kill()
    assert (await world.next())[1] == UNKNOWN_EXIT


async def test_a_process_that_was_gone_before_is_reported(world: _World, sleeper: subprocess.Popen[bytes]) -> None:
    sleeper.kill()
    sleeper.wait()
    world.files["a"] = (5, 1)
    assert world.watch.add("a", sleeper.pid) is False
    assert await world.next() == ("a", 5, "")


async def test_without_descriptors_a_process_is_watched_later(
    world: _World, sleeper: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(pid: int) -> int:
        raise OSError(errno.EMFILE, "too many open files")

    with monkeypatch.context() as patch:
        patch.setattr(os, "pidfd_open", refuse)
        assert world.watch.add("a", sleeper.pid) is True
        with pytest.raises(ResourceExhausted):
            world.watch.signal("a", 15)
    assert not await world.watch.wait("a", 0.01), "it is not taken for gone"
    world.watch.signal("a", 15)
    sleeper.wait()
    assert (await world.next())[1] == UNKNOWN_EXIT


async def test_a_process_seen_to_exit_is_never_signalled(world: _World, sleeper: subprocess.Popen[bytes]) -> None:
    """Its pid may be somebody else's by now."""
    world.watch.add("a", sleeper.pid)
    world.watch.exit_file("a", 0, 1)
    world.watch.signal("a", 9)
    assert sleeper.poll() is None
