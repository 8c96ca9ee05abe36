"""Several logs as one, in the order of time: first what they hold, then what comes."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

from cricket.cli.logview import LogView
from cricket.client.logfile import Joiner, Tail
from cricket.wire.logline import LogLine

Wanted = Callable[[LogLine], bool]


class _Log(NamedTuple):
    name: str
    tail: Tail
    joiner: Joiner


class Merger:
    """Follows log files. `wanted` chooses among their lines. To be closed."""

    def __init__(self, view: LogView, wanted: Wanted = lambda line: True) -> None:
        self._view, self._wanted = view, wanted
        self._logs: dict[str, _Log] = {}

    def add(self, key: str, name: str, path: str) -> Tail:
        """Follow the file from its beginning on; what writes it is shown as `name`. Idempotent for each key."""
        if key not in self._logs:
            self._view.know([name])
            self._logs[key] = _Log(name, Tail(path), Joiner())
        return self._logs[key].tail

    def past(self, before: Mapping[str, Iterable[LogLine]]) -> None:
        """Show what is there by now, merged as it is read. `before` are records that come before those of a file."""
        streams = [self._ordered(log, [before.get(key, ()), log.tail.records()]) for key, log in self._logs.items()]
        for _, name, line in heapq.merge(*streams, key=lambda entry: entry[0]):
            self._view.write(name, line)
        self._view.flush()

    def look(self) -> None:
        """Show what has come since the last time, in the order of time."""
        found = [entry for log in self._logs.values() for entry in self._ordered(log, [log.tail.records()])]
        for _, name, line in sorted(found, key=lambda entry: entry[0]):
            self._view.write(name, line)
        if found:
            self._view.flush()

    def end(self, key: str) -> None:
        """Nothing more is written to this log: show the rest of it and forget it."""
        if log := self._logs.pop(key, None):
            rest = self._ordered(log, [log.tail.records(), log.tail.rest()])
            for _, name, line in (*rest, *((0, log.name, line) for line in filter(self._wanted, log.joiner.rest()))):
                self._view.write(name, line)
            log.tail.close()
            self._view.flush()

    def close(self) -> None:
        """Show what never got its end, and close the files."""
        for key in list(self._logs):
            self.end(key)

    def _ordered(self, log: _Log, records: Iterable[Iterable[LogLine]]) -> Iterator[tuple[int, str, LogLine]]:
        """Wanted lines with their places in time, which never go back within one log: clocks do, and what is no record
        has none."""
        place = 0
        for line in log.joiner.lines(record for part in records for record in part):
            place = max(place, line.timestamp)
            if self._wanted(line):
                yield place, log.name, line
