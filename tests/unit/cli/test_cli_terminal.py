"""The user's terminal, as a pseudo terminal."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import signal
import struct
import termios
from collections.abc import AsyncIterator, Iterator

import pytest

from cricket.cli import terminal


@pytest.fixture
def pty() -> Iterator[tuple[int, int]]:
    master, slave = os.openpty()
    yield master, slave
    for fd in (master, slave):
        with contextlib.suppress(OSError):
            os.close(fd)


def test_raw_is_undone_whatever_happens(pty: tuple[int, int]) -> None:
    before = termios.tcgetattr(pty[1])
    for error in (None, ValueError, KeyboardInterrupt, SystemExit):
        with contextlib.suppress(BaseException), terminal.raw(pty[1]):
            assert not termios.tcgetattr(pty[1])[3] & termios.ICANON
            if error is not None:
                raise error
        assert termios.tcgetattr(pty[1]) == before


async def test_sizes_come_now_and_at_each_change(pty: tuple[int, int]) -> None:
    def resize(columns: int, rows: int) -> None:
        fcntl.ioctl(pty[1], termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    resize(80, 24)
    found = terminal.sizes(pty[1])
    assert await anext(found) == (80, 24)
    resize(100, 30)
    asyncio.get_running_loop().call_soon(os.kill, os.getpid(), signal.SIGWINCH)
    assert await asyncio.wait_for(anext(found), 5) == (100, 30)
    assert isinstance(found, AsyncIterator)
    await found.aclose()  # type: ignore[attr-defined]  # an async generator


async def test_chunks_of_a_pipe_a_file_and_a_terminal(pty: tuple[int, int], tmp_path: os.PathLike[str]) -> None:
    reader, writer = os.pipe()
    os.write(writer, b"pipe")
    os.close(writer)
    assert b"".join([data async for data in terminal.chunks(reader)]) == b"pipe"
    os.close(reader)
    path = os.path.join(tmp_path, "f")
    with open(path, "wb") as file:
        file.write(b"x" * 200_000)
    fd = os.open(path, os.O_RDONLY)
    assert sum([len(data) async for data in terminal.chunks(fd)]) == 200_000
    os.close(fd)
    os.write(pty[0], b"line\n")
    source = terminal.chunks(pty[1])
    assert await anext(source) == b"line\n"
    os.close(pty[0])  # hanging up ends the input
    assert [data async for data in source] == []


async def _source(*pieces: bytes) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


@pytest.mark.parametrize(
    ("pieces", "passed", "left"),
    [
        ([b"abc", b"def"], b"abcdef", False),
        ([b"a\x10\x11b"], b"a", True),
        ([b"a\x10", b"\x11b"], b"a", True),
        ([b"a\x10", b"b\x11"], b"a\x10b\x11", False),
        ([b"\x10", b"\x10\x11"], b"\x10", True),
        ([b"\x11\x10"], b"\x11", False),
    ],
)
async def test_leaving(pieces: list[bytes], passed: bytes, left: bool) -> None:
    got, calls = bytearray(), []

    async def consume() -> None:
        async for data in terminal.until_left(_source(*pieces), lambda: calls.append(task.cancel())):
            got.extend(data)

    task = asyncio.ensure_future(consume())
    await asyncio.wait((task,), timeout=5)
    assert (bytes(got), bool(calls), task.cancelled()) == (passed, left, left)
