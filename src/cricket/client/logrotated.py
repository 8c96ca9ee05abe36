"""The files that a container's log was before: LOG.DATE-TIME and the same with .gz, as the kubelet (logs/
container_log_manager.go) and Cricket's node agent leave them."""

from __future__ import annotations

import contextlib
import gzip
import io
import os
import re
import zlib
from collections.abc import Iterator
from typing import BinaryIO, cast

from cricket.client.logfile import record, tail_offset
from cricket.wire.logline import LogLine

_STAMP = re.compile(r"\.[0-9]{8}-[0-9]{6}(\.gz)?")
_BROKEN = (OSError, EOFError, zlib.error)


def rotated(path: str) -> list[str]:
    """The older files of a log, oldest first."""
    directory, name = os.path.split(path)
    with contextlib.suppress(OSError):
        found = [entry for entry in os.listdir(directory or ".") if entry.startswith(name)]
        return [os.path.join(directory, entry) for entry in sorted(found) if _STAMP.fullmatch(entry, len(name))]
    return []


def older(path: str, lines: int | None = None) -> Iterator[LogLine]:
    """The records of the older files, oldest first; with `lines` only the last so many lines. What vanishes or is
    broken is left out: who rotates also compresses and removes."""
    with contextlib.ExitStack() as stack:
        chosen: list[BinaryIO] = []
        for name in reversed(rotated(path)):
            with contextlib.suppress(*_BROKEN):
                file = stack.enter_context(_opened(name, whole=lines is not None))
                if lines is not None:
                    offset, lines = tail_offset(file, lines)
                    file.seek(offset)
                chosen.append(file)
            if lines == 0:
                break
        for file in reversed(chosen):
            with contextlib.suppress(*_BROKEN):
                for line in file:
                    yield record(line.removesuffix(b"\n"))


def _opened(path: str, *, whole: bool) -> BinaryIO:
    """Open now: under another name it would be found no more. What is compressed can only be read backwards as a
    whole; it is some megabytes."""
    if not path.endswith(".gz"):
        return open(path, "rb")
    if not whole:
        return cast(BinaryIO, gzip.open(path))
    with gzip.open(path) as file:
        return io.BytesIO(file.read())
