"""Whether a monitor is alive, told by the pipe that it holds; a process of the test's own stands in for it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from cricket.errors import DeadlineExceeded
from cricket.kernel.process import Child, spawn
from cricket.monitor import conmon


class Monitor:
    """A process that holds the pipe as conmon does, until it is let go."""

    def __init__(self, bundle: Path) -> None:
        self.bundle = str(bundle)
        self.read_end, write_end = conmon._make_sync(self.bundle)
        self._leash, held = os.pipe2(os.O_CLOEXEC)[::-1]
        self.child: Child = spawn(["sh", "-c", "read x"], fds={0: held, 3: write_end})
        os.close(held)
        os.close(write_end)

    def say(self, words: bytes) -> None:
        """As the monitor would."""
        fd = os.open(f"{self.bundle}/sync", os.O_WRONLY)
        os.write(fd, words)
        os.close(fd)

    def forget(self) -> None:
        """The daemon that started it dies."""
        if self.read_end >= 0:
            os.close(self.read_end)
            self.read_end = -1

    async def end(self) -> None:
        if self._leash >= 0:
            os.close(self._leash)
            self._leash = -1
        await self.child.wait()


@pytest.fixture
async def monitor(tmp_path: Path) -> AsyncIterator[Monitor]:
    made = Monitor(tmp_path)
    yield made
    await made.end()
    made.forget()


def test_without_a_pipe_there_is_no_monitor(tmp_path: Path) -> None:
    assert not conmon.alive(str(tmp_path))


async def test_it_is_alive_until_it_ends(monitor: Monitor) -> None:
    assert conmon.alive(monitor.bundle)
    await monitor.end()
    assert not conmon.alive(monitor.bundle)


async def test_it_outlives_the_daemon_even_when_it_speaks_to_nobody(monitor: Monitor) -> None:
    monitor.forget()
    monitor.say(b'{"data": 5}\n')
    assert conmon.alive(monitor.bundle)
    assert conmon.alive(monitor.bundle), "asking takes nothing away"
    await monitor.end()
    assert not conmon.alive(monitor.bundle)


async def test_what_it_says_reaches_the_daemon_and_its_end_too(monitor: Monitor) -> None:
    monitor.say(b'{"data": 5}\n')
    assert await conmon._read_line(monitor.read_end, 5) == b'{"data": 5}\n'
    monitor.read_end = -1  # closed with the line


async def test_an_end_without_a_word_is_seen(monitor: Monitor) -> None:
    reading = asyncio.ensure_future(conmon._read_line(monitor.read_end, 5))
    await monitor.end()
    assert await reading == b""
    monitor.read_end = -1


async def test_gone_waits_for_the_end(monitor: Monitor) -> None:
    waiting = asyncio.ensure_future(conmon.gone(monitor.bundle))
    with pytest.raises(DeadlineExceeded):
        await conmon.gone(monitor.bundle, timeout=0.01)
    assert not waiting.done()
    await monitor.end()
    await asyncio.wait_for(waiting, 5)


async def test_created_waits_for_the_pid_file_or_the_end(monitor: Monitor, tmp_path: Path) -> None:
    with pytest.raises(DeadlineExceeded):
        await conmon.created(monitor.bundle, timeout=0.01)
    (tmp_path / "pidfile").write_text("5")
    await asyncio.wait_for(conmon.created(monitor.bundle), 5)
    (tmp_path / "pidfile").unlink()
    await monitor.end()
    await asyncio.wait_for(conmon.created(monitor.bundle), 5)


async def test_a_new_attempt_forgets_the_old_ones_pid(monitor: Monitor, tmp_path: Path) -> None:
    (tmp_path / "pidfile").write_text("5")
    await monitor.end()
    monitor.forget()
    again = Monitor(tmp_path)
    with pytest.raises(DeadlineExceeded):
        await conmon.created(again.bundle, timeout=0.01)
    await again.end()
    again.forget()
