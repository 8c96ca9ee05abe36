"""The last lines of containers' logs, read where the runtime keeps them, a bounded block of each."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator

from cricket.cli.top.model import Container, LogText
from cricket.errors import InvalidArgument
from cricket.wire.logline import parse_line

_BLOCK = 32 << 10


def last_lines(containers: Iterable[Container], most: int) -> tuple[LogText, ...]:
    """The newest `most` lines of all of them together, oldest first; a log that cannot be read has none."""
    found = list[LogText]()
    for container in containers:
        if container.log_path:
            found += list(_lines(container, _tail(container.log_path)))[-most:]
    return tuple(sorted(found, key=lambda line: line.time)[-most:])


def _tail(path: str) -> list[bytes]:
    """The whole records at the end of a file."""
    with contextlib.suppress(OSError), open(path, "rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - _BLOCK))
        records = file.read(_BLOCK).split(b"\n")
        return records[1:-1] if size > _BLOCK else records[:-1]
    return []


def _lines(container: Container, records: Iterable[bytes]) -> Iterator[LogText]:
    """Records as lines; the parts of a long one are put together."""
    parts = dict[str, bytes]()
    for record in records:
        try:
            line = parse_line(record)
        except InvalidArgument:
            continue
        text = parts.pop(line.stream, b"") + line.text
        if line.partial:
            parts[line.stream] = text
        else:
            yield LogText(line.timestamp, container.name, line.stream, text.decode("utf-8", "replace"))
