"""Runs a command in a pseudo terminal and gives the screen that it has left, or had at a moment."""

from __future__ import annotations

import codecs
import fcntl
import os
import pty
import re
import select
import signal
import struct
import termios
import time
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from scripts.pictures.screen import Screen

_LIMIT = 120.0


class Step(NamedTuple):
    """Wait until the screen shows `sight` (a pattern) and `pause` more seconds, then type `keys`, then `act`."""

    sight: str
    keys: bytes = b""
    pause: float = 0.0
    act: Callable[[], None] = lambda: None


def record(
    argv: Sequence[str],
    *,
    columns: int,
    rows: int,
    steps: Sequence[Step] = (),
    stop: bool = False,
    env: Mapping[str, str] | None = None,
) -> Screen:
    """The screen when the command has ended; with `stop` as it is after the last step, and the command is ended then.

    Raises TimeoutError when a sight does not come, or the command does not end, within two minutes.
    """
    screen = Screen(columns, rows)
    pid, fd = pty.fork()
    if pid == 0:
        try:
            os.execvpe(argv[0], argv, {**os.environ, "TERM": "xterm-256color", "LC_ALL": "C.UTF-8", **(env or {})})
        finally:
            os._exit(127)
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    reader = _Reader(fd, screen)
    try:
        for step in steps:
            reader.until(step.sight)
            reader.read(step.pause)
            if step.keys:
                os.write(fd, step.keys)
            step.act()
        if stop:
            os.kill(pid, signal.SIGTERM)
        else:
            reader.until(None)
    except TimeoutError:
        os.kill(pid, signal.SIGTERM)
        raise
    finally:
        _end(pid, fd)
    return screen


class _Reader:
    def __init__(self, fd: int, screen: Screen) -> None:
        self._fd, self._screen = fd, screen
        self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        self._until = time.monotonic() + _LIMIT

    def until(self, sight: str | None) -> None:
        """Read until the screen shows it; None: until the command has ended."""
        while sight is None or not re.search(sight, self._screen.text()):
            if not self._some(0.05):
                if sight is None:
                    return
                raise TimeoutError(f"the command has ended without {sight!r}:\n{self._screen.text()}")
            if time.monotonic() > self._until:
                raise TimeoutError(f"no {sight!r} on the screen:\n{self._screen.text()}")

    def read(self, seconds: float) -> None:
        """Go on reading for a while."""
        end = time.monotonic() + seconds
        while (rest := end - time.monotonic()) > 0 and self._some(rest):
            pass

    def _some(self, seconds: float) -> bool:
        """Read what comes within that time; False when the command has ended."""
        if not select.select([self._fd], [], [], seconds)[0]:
            return True
        try:
            data = os.read(self._fd, 65536)
        except OSError:  # Linux's way to say that nobody has the terminal any more
            return False
        self._screen.feed(self._decode(data))
        return bool(data)


def _end(pid: int, fd: int) -> None:
    """Wait for the command, at most ten seconds; what it still writes is read, as it could not end otherwise."""
    until, killed = time.monotonic() + 10, False
    while os.waitpid(pid, os.WNOHANG) == (0, 0):
        if select.select([fd], [], [], 0.02)[0]:
            try:
                os.read(fd, 65536)
            except OSError:
                time.sleep(0.02)
        if time.monotonic() > until and not killed:
            os.kill(pid, signal.SIGKILL)
            killed = True
    os.close(fd)
