"""Lines of several logs on one screen: each begins with the name of what wrote it, in a colour of its own."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable

from cricket.cli.output import colourful, safe
from cricket.wire.logline import LogLine, format_time

_COLOURS = (36, 33, 35, 32, 34, 96, 93, 95, 92, 94)
_OURS = {"grey": 90, "green": 32, "yellow": 33, "red": 31}


def wanted(since: int, until: int, stream: str | None) -> Callable[[LogLine], bool]:
    """Whether a line is of the time (Unix nanoseconds; 0 is no limit) and stream that were asked for."""

    def fits(line: LogLine) -> bool:
        return since <= line.timestamp and not 0 < until < line.timestamp and stream in (None, line.stream)

    return fits


class LogView:
    """Writes lines to standard output, and what we have to say ourselves to standard error."""

    def __init__(self, *, timestamps: bool, prefixes: bool = True, width: int = 0) -> None:
        """`width`: characters that names have at least."""
        self._timestamps, self._prefixes, self._colours = timestamps, prefixes, colourful()
        self._width = width
        self._names: dict[str, int] = {}

    def know(self, names: Iterable[str]) -> None:
        """Names that will be seen: the columns are as wide as the longest."""
        for name in names:
            self._names.setdefault(name, len(self._names))
            self._width = max(self._width, len(safe(name)))

    def write(self, name: str, line: LogLine) -> None:
        """A line of a log."""
        time = format_time(line.timestamp).decode() + " " if self._timestamps else ""
        print(f"{self._prefix(name)}{time}{line.text.decode('utf-8', 'replace')}")

    def say(self, text: str, name: str = "", *, colour: str = "grey") -> None:
        """A line of ours, about what has this name or about everything."""
        if self._colours:
            text = f"\x1b[{_OURS[colour]}m{text}\x1b[0m"
        sys.stdout.flush()
        print(f"{self._prefix(name)}{text}", file=sys.stderr, flush=True)

    def flush(self) -> None:
        """Show what was written."""
        sys.stdout.flush()

    def _prefix(self, name: str) -> str:
        if not self._prefixes:
            return ""
        self.know([name] if name else [])
        label = f"{safe(name) or 'cricket':<{self._width}} | "
        if not self._colours:
            return label
        shade = _COLOURS[self._names[name] % len(_COLOURS)] if name else _OURS["grey"]
        return f"\x1b[{shade}m{label}\x1b[0m"
