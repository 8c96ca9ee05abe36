"""The user's terminal while a command of a container has it: raw, with its size told, and given back in order."""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import signal
import termios
import tty
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

_CHUNK = 64 << 10
_LEAVE = b"\x10\x11"


class Ending:
    """While it is open, signals that would end this process end the work in it instead, in order; `code` is then the
    exit code, else None. Signals of before and after the work count, too."""

    _SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)

    def __init__(self) -> None:
        self.code: int | None = None
        self._task: asyncio.Task[object] | None = None
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Ending:
        for number in self._SIGNALS:
            self._before[number] = signal.signal(number, self._caught)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)

    def end(self, code: int) -> None:
        """End the work; the first code counts."""
        if self.code is None:
            self.code = code
            if self._task is not None:
                # A plain handler may run while the loop waits, which only this wakes.
                self._task.get_loop().call_soon_threadsafe(self._task.cancel)

    @contextlib.contextmanager
    def cancels_this_task(self) -> Iterator[None]:
        """The work is in this block; look at `code` first."""
        self._task = asyncio.current_task()
        try:
            yield
        finally:
            self._task = None

    def _caught(self, number: int, frame: object) -> None:
        self.end(128 + number)


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
        try:
            rest = rest[os.write(fd, rest) :]
        except BlockingIOError:  # somebody who shares it has made it so
            select.select([], [fd], [])
