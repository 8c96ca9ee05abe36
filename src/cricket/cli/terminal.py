"""The user's terminal while a command of a container has it: raw, with its size told, and given back in order."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import termios
import tty
from collections.abc import AsyncIterator, Callable, Iterator

_CHUNK = 64 << 10
_LEAVE = b"\x10\x11"


@contextlib.contextmanager
def raw(fd: int) -> Iterator[None]:
    """Every key goes through as it is, also Ctrl-C; the mode of before is restored whatever happens in the block."""
    before = termios.tcgetattr(fd)
    try:
        tty.setraw(fd, termios.TCSADRAIN)  # what was typed ahead is kept
        yield
    finally:
        termios.tcsetattr(fd, termios.TCSADRAIN, before)


async def sizes(fd: int) -> AsyncIterator[tuple[int, int]]:
    """(columns, rows) now and after each change; never ends."""
    changed = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGWINCH, changed.set)
    try:
        while True:
            changed.clear()
            size = os.get_terminal_size(fd)
            if size.columns and size.lines:
                yield size.columns, size.lines
            await changed.wait()
    finally:
        loop.remove_signal_handler(signal.SIGWINCH)


async def chunks(fd: int) -> AsyncIterator[bytes]:
    """What comes in at a file descriptor, to its end. It stays in blocking mode: others may share it."""
    while True:
        await _readable(fd)
        try:
            data = os.read(fd, _CHUNK)
        except OSError:  # the terminal has hung up
            return
        if not data:
            return
        yield data


async def until_left(source: AsyncIterator[bytes], leave: Callable[[], None]) -> AsyncIterator[bytes]:
    """Pass input on until Ctrl-P Ctrl-Q, then call `leave` and wait to be cancelled: an end would close the input."""
    held = b""
    async for data in source:
        data, held = held + data, b""
        before, keys, _ = data.partition(_LEAVE)
        if not keys and before.endswith(_LEAVE[:1]):
            before, held = before[:-1], _LEAVE[:1]
        if before:
            yield before
        if keys:
            leave()
            await asyncio.Event().wait()


async def _readable(fd: int) -> None:
    loop = asyncio.get_running_loop()
    ready = loop.create_future()

    def wake() -> None:
        if not ready.done():
            ready.set_result(None)

    try:
        loop.add_reader(fd, wake)
    except PermissionError:  # a regular file, which epoll does not take, can always be read
        return
    try:
        await ready
    finally:
        loop.remove_reader(fd)


async def write(fd: int, data: bytes) -> None:
    """Write all of it. A reader that is slow holds us up, and so the container's process: as in a pipe."""
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(fd, rest) :]
