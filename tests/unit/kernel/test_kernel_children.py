"""Waiting for what an earlier daemon has left at work."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cricket.kernel import children, process

# A "daemon" that takes the lock and starts two commands: one that holds it, one that is told to leave survivors.
_DAEMON = """
import asyncio, sys
from cricket.kernel import children, process
async def main():
    await children.adopt(sys.argv[1])
    asyncio.ensure_future(process.run(["sh", "-c", "echo >&1; read x"], stdin=None, fds={0: int(sys.argv[2])}))
    asyncio.ensure_future(process.run(["sleep", "3"], survivors=True))
    await asyncio.sleep(0)
    print("ready", flush=True)
    await asyncio.sleep(60)
asyncio.run(main())
"""


@pytest.fixture(autouse=True)
def no_heirloom() -> Iterator[None]:
    """Tests take the lock for this process: give it back."""
    yield
    if process._heirloom >= 0:
        os.close(process._heirloom)
        process.bequeath(-1)


async def test_nobody_is_waited_for_at_the_first_start(tmp_path: Path) -> None:
    await asyncio.wait_for(children.adopt(str(tmp_path / "lock")), 1)


def start_and_kill(path: str, reader: int) -> None:
    """A daemon that dies while its command reads from `reader`."""
    argv = [sys.executable, "-c", _DAEMON, path, str(reader)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, pass_fds=[reader]) as daemon:
        assert daemon.stdout is not None
        assert daemon.stdout.readline() == b"ready\n"
        daemon.kill()


async def test_a_command_of_a_killed_daemon_is_waited_for(tmp_path: Path) -> None:
    path = str(tmp_path / "lock")
    reader, writer = os.pipe()
    start_and_kill(path, reader)
    os.close(reader)
    adopting = asyncio.ensure_future(children.adopt(path))
    done, _ = await asyncio.wait([adopting], timeout=0.1)
    assert not done, "the command still reads"
    os.close(writer)
    await asyncio.wait_for(adopting, 5)


async def test_after_its_patience_it_tells_who_holds_on(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = str(tmp_path / "lock")
    await children.adopt(path)
    hanging = asyncio.ensure_future(process.run(["sleep", "1000"]))
    await asyncio.sleep(0)
    os.close(process._heirloom)  # as if this daemon had died
    process.bequeath(-1)
    await children.adopt(path, patience=0.02)
    assert "sleep" in caplog.text
    hanging.cancel()
    await asyncio.wait([hanging])
    again = os.stat(path).st_ino
    assert os.fstat(process._heirloom).st_ino == again


async def test_ordinary_commands_inherit_the_lock_and_no_other_file(tmp_path: Path) -> None:
    await children.adopt(str(tmp_path / "lock"))
    with open(tmp_path / "other", "w"):
        shown = (await process.run(["ls", "-l", "/proc/self/fd"])).stdout.decode()
        bare = (await process.run(["ls", "-l", "/proc/self/fd"], survivors=True)).stdout.decode()
    assert f"{tmp_path}/lock" in shown
    assert str(tmp_path) not in bare
    assert f"{tmp_path}/other" not in shown
