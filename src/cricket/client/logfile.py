"""Reading a container's log file: from the end, from a moment, and on while it grows and is rotated."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from typing import BinaryIO

from cricket.errors import FailedPrecondition, InvalidArgument, NotFound, map_errors
from cricket.wire.logline import LogLine, parse_line

_BLOCK = 64 << 10
_PAUSE = 0.1
"""Seconds between looks at a log that is followed."""


def read(
    path: str,
    *,
    tail: int | None = None,
    follow: Callable[[], bool] | None = None,
    flush: Callable[[], None] = lambda: None,
) -> Iterator[LogLine]:
    """The records of a log, from the last `tail` lines on (None: from its beginning).

    With `follow` it goes on until that returns False (asked whenever there is nothing new), also over rotations, where
    the rest of the old file comes before the new one; `flush` is called before each pause. What is no record is given
    as a line of stdout at time 0: it was written for somebody to see. Raises NotFound when there is no such file.
    """
    with map_errors(FileNotFoundError, NotFound, "there is no log", where=path):
        file = _open(path)
    try:
        if tail is not None:
            file.seek(tail_offset(file, tail))
        rest = b""
        while True:
            *lines, rest = (rest + (data := file.read(_BLOCK))).split(b"\n")
            yield from map(_record, lines)
            if data:
                continue
            if follow is None:
                break
            newer = _newer(path, file)
            if newer is not None:
                # Nothing is written to the old file once the new one is there; it was read to its end before and
                # is once more.
                yield from map(_record, filter(None, (rest + file.read()).split(b"\n")))
                file.close()
                file, rest = newer, b""
            elif follow():
                flush()
                time.sleep(_PAUSE)
            else:
                follow = None  # ended: what was written in the meantime is still to be read
        if rest:
            yield _record(rest)
    finally:
        file.close()


def tail_offset(file: BinaryIO, lines: int) -> int:
    """Where the last `lines` lines of text begin; the parts of a long line are one."""
    start = end = file.seek(0, os.SEEK_END)
    for record in _backwards(file, end):
        # Seen from the end, each line begins with its last record; one that is unfinished has none that says so.
        if start == end or not _continues(record):
            if lines == 0:
                return start
            lines -= 1
        start -= len(record)
    return start


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


def _record(line: bytes) -> LogLine:
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
