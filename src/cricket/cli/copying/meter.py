"""How far a copy is: on a terminal, when it takes longer than a moment."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from typing import IO, cast

from cricket.cli.copying.entries import Entry
from cricket.cli.words import size

_QUIET, _PERIOD = 0.5, 0.1
_BAR = 20


class Meter:
    """Counts what goes by and draws it on standard error."""

    def __init__(self, *, quiet: bool) -> None:
        self.files = self.bytes = 0
        self._show = not quiet and sys.stderr.isatty()
        self._began = time.monotonic()
        self._next, self._drawn = self._began + _QUIET, False
        self._name, self._size, self._read = "", 0, 0

    def watch(self, entries: Iterable[Entry]) -> Iterator[Entry]:
        """The same entries, counted as they are read."""
        for info, data in entries:
            self.files += 1
            self._name, self._size, self._read = info.name, info.size, 0
            yield Entry(info, None if data is None else cast(IO[bytes], _Reader(data, self._seen)))

    def close(self) -> None:
        """Take the drawing away. Idempotent."""
        if self._drawn:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
            self._drawn = False

    def summary(self) -> str:
        """What was copied."""
        return f"{self.files} file{'s' * (self.files != 1)}, {size(self.bytes)}"

    def _seen(self, count: int) -> None:
        self.bytes += count
        self._read += count
        if self._show and (now := time.monotonic()) >= self._next:
            self._next, self._drawn = now + _PERIOD, True
            speed = size(self.bytes / (now - self._began))
            share = min(1.0, self._read / self._size) if self._size else 1.0
            full = int(share * _BAR)
            text = f"{size(self.bytes)} {speed}/s [{'=' * full}{' ' * (_BAR - full)}] {share:4.0%} {self._name}"
            clean = "".join(c if c.isprintable() else "?" for c in text)
            print(f"\r{clean[: _width() - 1]}\x1b[K", end="", file=sys.stderr, flush=True)


class _Reader:
    def __init__(self, data: IO[bytes], seen: Callable[[int], None]) -> None:
        self._data, self._seen = data, seen

    def read(self, count: int = -1) -> bytes:
        block = self._data.read(count)
        self._seen(len(block))
        return block


def _width() -> int:
    try:
        return os.get_terminal_size(sys.stderr.fileno()).columns or 80
    except OSError:
        return 80
