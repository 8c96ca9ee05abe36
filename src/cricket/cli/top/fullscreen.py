"""The terminal as a canvas: its other screen, keys one by one, and everything as before at the end."""

from __future__ import annotations

import contextlib
import os
import termios
import tty
from collections.abc import Iterator, Sequence
from typing import Any

from cricket.cli.top.text import Line, painted

_ENTER = "\x1b[?1049h\x1b[?25l\x1b[?7l\x1b[2J"
_LEAVE = "\x1b[?7h\x1b[?25h\x1b[?1049l"


class Canvas:
    """Draws whole pictures, writing only the lines that have changed. `out` is a terminal, `keyboard` one or None."""

    def __init__(self, out: int, keyboard: int | None, *, colours: bool, encoding: str) -> None:
        self._out, self._keyboard, self._colours, self._encoding = out, keyboard, colours, encoding
        self._before: list[Any] | None = None
        self._drawn: list[str] = []

    def enter(self) -> None:
        """Take the terminal; Ctrl-C and Ctrl-Z stay signals. Idempotent."""
        if self._keyboard is not None and self._before is None:
            self._before = termios.tcgetattr(self._keyboard)
            tty.setcbreak(self._keyboard, termios.TCSADRAIN)  # what was typed ahead is kept
        self._drawn = []
        self._write(_ENTER)

    def leave(self) -> None:
        """Give it back as it was; also when it has hung up. Idempotent."""
        with contextlib.suppress(OSError):
            self._write(_LEAVE)
        if self._keyboard is not None and self._before is not None:
            with contextlib.suppress(termios.error):
                termios.tcsetattr(self._keyboard, termios.TCSADRAIN, self._before)
            self._before = None

    @contextlib.contextmanager
    def taken(self) -> Iterator[None]:
        """The terminal is ours within the block."""
        try:
            self.enter()
            yield
        finally:
            self.leave()

    def size(self) -> tuple[int, int]:
        """Columns and lines of now."""
        size = os.get_terminal_size(self._out)
        return size.columns or 80, size.lines or 24

    def clear(self) -> None:
        """Draw everything anew the next time: the size has changed."""
        self._drawn = []
        self._write("\x1b[2J")

    def draw(self, lines: Sequence[Line], chosen: int) -> None:
        """Show these lines from the top; `chosen` is shown in reverse. Raises OSError when the terminal has hung up."""
        drawn = [painted(line, colours=self._colours, chosen=i == chosen) for i, line in enumerate(lines)]
        old = self._drawn + [""] * (len(drawn) - len(self._drawn))
        # Erased first: after a character in the last column it would go, too.
        changed = [f"\x1b[{i + 1};1H\x1b[K{text}" for i, text in enumerate(drawn) if text != old[i]]
        changed += [f"\x1b[{i + 1};1H\x1b[K" for i in range(len(drawn), len(self._drawn))]
        self._drawn = drawn
        self._write("".join(changed))

    def _write(self, text: str) -> None:
        rest = memoryview(text.encode(self._encoding, "replace"))
        while rest:
            rest = rest[os.write(self._out, rest) :]
