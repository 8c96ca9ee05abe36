"""Reading a container's log file: from the end, from a moment, and on while it grows and is rotated."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator
from typing import BinaryIO

from cricket.errors import CricketError, FailedPrecondition, InvalidArgument, NotFound, map_errors
from cricket.wire.logline import LogLine, parse_line

_BLOCK = 64 << 10
_LONGEST = 1 << 20
"""Bytes of a line that are waited for before it is shown."""
_PAUSE = 0.1
"""Seconds between looks at a log that is followed."""


def read(
    path: str,
    *,
    tail: int | None = None,
    rotated: bool = False,
    follow: Callable[[], bool] | None = None,
    flush: Callable[[], None] = lambda: None,
) -> Iterator[LogLine]:
    """The records of a log, from the last `tail` lines on (None: from its beginning).

    With `rotated` it begins with the files that were this log before (see `logrotated`). With `follow` it goes on until
    that returns False (asked whenever there is nothing new), also over rotations, where the rest of the old file comes
    before the new one; `flush` is called before each pause. What is no record is given as a line of stdout at time 0:
    it was written for somebody to see. Raises NotFound when there is no such file.
    """
    file = Tail(path)
    try:
        missing = file.open(tail)
        if rotated and missing != 0:
            from cricket.client.logrotated import older

            yield from older(path, missing)
        while True:
            yield from file.records()
            if follow is None:
                break
            if follow():
                flush()
                time.sleep(_PAUSE)
            else:
                follow = None  # ended: what was written in the meantime is still to be read
        yield from file.rest()
    finally:
        file.close()


class Tail:
    """A log as it grows. The file need not be there yet, and may be rotated or removed: it stays open until a new one
    is at its path. To be closed."""

    def __init__(self, path: str) -> None:
        self._path, self._rest = path, b""
        self._file: BinaryIO | None = None

    def open(self, tail: int | None = None) -> int | None:
        """Begin with the last `tail` lines; returns how many it has less (None: all are wanted). Raises NotFound and
        FailedPrecondition."""
        with map_errors(FileNotFoundError, NotFound, "there is no log", where=self._path):
            self._file = _open(self._path)
        if tail is None:
            return None
        offset, missing = tail_offset(self._file, tail)
        self._file.seek(offset)
        return missing

    def records(self) -> Iterator[LogLine]:
        """What has come since the last time, as far as it is whole."""
        if self._file is None:
            try:
                self.open()
            except CricketError:
                return
        while self._file is not None:
            while data := self._file.read(_BLOCK):
                *lines, self._rest = (self._rest + data).split(b"\n")
                yield from map(record, lines)
            newer = _newer(self._path, self._file)
            if newer is None:
                return
            # Nothing is written to the old file once the new one is there; it was read to its end before and is once
            # more.
            yield from map(record, filter(None, (self._rest + self._file.read()).split(b"\n")))
            self._file.close()
            self._file, self._rest = newer, b""

    def rest(self) -> Iterator[LogLine]:
        """The last record, when its end was never written."""
        if self._rest:
            yield record(self._rest)

    def close(self) -> None:
        """Idempotent."""
        if self._file is not None:
            self._file.close()
            self._file = None


class Joiner:
    """Whole lines of records: the parts of a long line are put together, stream by stream, at the time of the first."""

    def __init__(self) -> None:
        self._parts: dict[str, LogLine] = {}

    def lines(self, records: Iterable[LogLine]) -> Iterator[LogLine]:
        """The lines that end with these records."""
        for part in records:
            begun = self._parts.pop(part.stream, None)
            line = (
                part if begun is None else LogLine(begun.timestamp, part.stream, part.partial, begun.text + part.text)
            )
            if line.partial and len(line.text) < _LONGEST:
                self._parts[part.stream] = line
            else:
                yield line

    def rest(self) -> list[LogLine]:
        """Lines whose end was never written."""
        found, self._parts = [*self._parts.values()], {}
        return found


def tail_offset(file: BinaryIO, lines: int) -> tuple[int, int]:
    """Where the last `lines` lines of text begin, and how many the file has less; the parts of a long line are one."""
    start = end = file.seek(0, os.SEEK_END)
    for piece in _backwards(file, end):
        # Seen from the end, each line begins with its last record; one that is unfinished has none that says so.
        if start == end or not _continues(piece):
            if lines == 0:
                return start, 0
            lines -= 1
        start -= len(piece)
    return start, lines


def _backwards(file: BinaryIO, at: int) -> Iterator[bytes]:
    """The records before `at`, with their newlines, last first."""
    rest = b""
    while at > 0:
        step = min(_BLOCK, at)
        at -= step
        file.seek(at)
        first, *others = (file.read(step) + rest).split(b"\n")
        if others and others[-1]:
            yield others[-1]  # the newline of the last record is not there yet
        for piece in others[-2::-1]:
            yield piece + b"\n"
        rest = first + b"\n" if others else first
    if rest:
        yield rest


def _continues(record: bytes) -> bool:
    """Whether a record is a part of a line that goes on in the next one."""
    return record.split(b" ", 3)[2:3] == [b"P"]


def record(line: bytes) -> LogLine:
    """A line of a log file; what is no record as text of stdout at time 0."""
    try:
        return parse_line(line)
    except InvalidArgument:
        return LogLine(0, "stdout", False, line)


def _open(path: str) -> BinaryIO:
    with map_errors((PermissionError, IsADirectoryError), FailedPrecondition, "the log cannot be read", where=path):
        return open(path, "rb")


def _newer(path: str, file: BinaryIO) -> BinaryIO | None:
    """The file that has taken the place of the one we read; one that was truncated is begun anew."""
    try:
        now, ours = os.stat(path), os.fstat(file.fileno())
    except FileNotFoundError:
        return None  # between the rename and the reopening
    if (now.st_dev, now.st_ino) != (ours.st_dev, ours.st_ino):
        try:
            return _open(path)
        except FileNotFoundError:
            return None
    if ours.st_size < file.tell():
        file.seek(0)
    return None
