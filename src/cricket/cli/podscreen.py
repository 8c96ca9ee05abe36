"""Logs with a few lines below them that change in place: the progress of pulls."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence

from cricket.cli.logview import LogView
from cricket.wire.logline import LogLine


class LiveView(LogView):
    """A LogView whose terminal has a foot: it is taken away before anything is written, and drawn again below."""

    def __init__(self, *, timestamps: bool, width: int = 0) -> None:
        super().__init__(timestamps=timestamps, width=width)
        self._can = sys.stderr.isatty() and self._colours
        self._foot: tuple[str, ...] = ()
        self._drawn = 0

    @property
    def live(self) -> bool:
        """Whether a foot can be seen."""
        return self._can

    def columns(self) -> int:
        """Of the terminal."""
        return shutil.get_terminal_size().columns

    def show(self, lines: Sequence[str]) -> None:
        """Draw these lines at the bottom from now on; none takes the foot away. Without a terminal nothing is shown."""
        self._foot = tuple(lines)
        self._draw()

    def write(self, name: str, line: LogLine) -> None:
        """A line of a log."""
        self._erase()
        super().write(name, line)

    def say(self, text: str, name: str = "", *, colour: str = "grey") -> None:
        """A line of ours."""
        self._erase()
        super().say(text, name, colour=colour)
        self._draw()

    def flush(self) -> None:
        """Show what was written."""
        super().flush()
        if not self._drawn:
            self._draw()

    def interrupted(self) -> None:
        """Take away what the terminal has made of Ctrl-C."""
        if self._can:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)

    def _erase(self) -> None:
        if self._drawn:
            print(f"\x1b[{self._drawn}A\r\x1b[J", end="", file=sys.stderr, flush=True)
            self._drawn = 0

    def _draw(self) -> None:
        self._erase()
        if self._can and self._foot:
            sys.stdout.flush()
            print("".join(f"{line}\n" for line in self._foot), end="", file=sys.stderr, flush=True)
            self._drawn = len(self._foot)
