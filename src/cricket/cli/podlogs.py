"""The logs of a pod's containers beside each other, each line with its container's name in a colour of its own."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys

from cricket.cli.output import colourful
from cricket.errors import CricketError
from cricket.kubelet.agent import Agent
from cricket.kubelet.loop_records import ContainerRecord, State
from cricket.wire.logline import LogLine, format_time, parse_line

_COLOURS = (36, 33, 35, 32, 34, 96, 93, 95, 92, 94)
_PERIOD = 0.05
_BLOCK = 256 << 10


class Display:
    """Reads the log files as they grow and writes them to standard output. A file that is removed is read to its end:
    it stays open."""

    def __init__(self, agent: Agent, *, timestamps: bool) -> None:
        self._agent, self._timestamps, self._colours = agent, timestamps, colourful()
        self._tails: dict[str, _Tail] = {}
        self._names: dict[str, int] = {}

    async def run(self) -> None:
        """Show what comes until cancelled; then the rest."""
        try:
            while True:
                self.look()
                await asyncio.sleep(_PERIOD)
        finally:
            self.look()
            for tail in self._tails.values():
                tail.close()

    def look(self) -> None:
        """Find new containers, and show what was written, in the order of time."""
        for worker in self._agent.workers.values():
            for record in reversed(worker.records.containers):
                self.keep(record)
        lines = [(line.timestamp, number, name, line) for name, number, line in self._fresh()]
        for _, _, name, line in sorted(lines, key=lambda item: item[:2]):
            self._write(name, line)
        sys.stdout.flush()

    def keep(self, record: ContainerRecord) -> None:
        """Follow the log of a container from now on."""
        if record.id in self._tails or record.state is State.CREATED or not record.log_path:
            return
        self._names.setdefault(record.name, len(self._names))
        self._tails[record.id] = _Tail(record.name, record.log_path)

    def say(self, text: str, container: str = "") -> None:
        """A line of ours, on standard error."""
        if self._colours:
            text = f"\x1b[90m{text}\x1b[0m"
        sys.stdout.flush()
        print(f"{self._prefix(container or 'cricket', grey=not container)}{text}", file=sys.stderr, flush=True)

    def _fresh(self) -> list[tuple[str, int, LogLine]]:
        number, found = 0, []
        for tail in self._tails.values():
            for line in tail.read():
                number += 1
                found.append((tail.name, number, line))
        return found

    def _write(self, name: str, line: LogLine) -> None:
        time = format_time(line.timestamp).decode() + " " if self._timestamps else ""
        text = line.text.decode("utf-8", "replace")
        print(f"{self._prefix(name)}{time}{text}")

    def _prefix(self, name: str, *, grey: bool = False) -> str:
        width = max((len(known) for known in (*self._names, "cricket")), default=0)
        label = f"{name:<{width}} | "
        if not self._colours:
            return label
        colour = 90 if grey else _COLOURS[self._names.setdefault(name, len(self._names)) % len(_COLOURS)]
        return f"\x1b[{colour}m{label}\x1b[0m"


class _Tail:
    """One log file, with its rotations; parts of long lines are put together."""

    def __init__(self, name: str, path: str) -> None:
        self.name, self._path = name, path
        self._fd, self._rest, self._parts = -1, b"", b""
        self._open()

    def _open(self) -> None:
        with contextlib.suppress(OSError):
            self._fd = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)

    def read(self) -> list[LogLine]:
        """What has come since the last time."""
        if self._fd < 0:
            self._open()
            if self._fd < 0:
                return []
        lines = self._drain()
        with contextlib.suppress(OSError):
            now, ours = os.stat(self._path), os.fstat(self._fd)
            if (now.st_dev, now.st_ino) != (ours.st_dev, ours.st_ino):
                lines += self._drain()
                self.close()
        return lines

    def _drain(self) -> list[LogLine]:
        found = []
        while data := os.read(self._fd, _BLOCK):
            *records, self._rest = (self._rest + data).split(b"\n")
            for record in records:
                try:
                    line = parse_line(record)
                except CricketError:
                    line = LogLine(0, "stdout", False, record)
                if line.partial:
                    self._parts += line.text
                    continue
                found.append(LogLine(line.timestamp, line.stream, False, self._parts + line.text))
                self._parts = b""
        return found

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
