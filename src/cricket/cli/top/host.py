"""The machine itself, from /proc: the runtime's socket is on this node, and so are its pods."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence

import msgspec

_IDLE = (3, 4)
"""The columns of /proc/stat (proc(5)) in which a CPU does nothing: idle and iowait."""


class HostReading(msgspec.Struct, frozen=True, kw_only=True):
    """Ticks of each CPU as (busy, all); bytes; load averages; seconds since boot."""

    name: str = ""
    cpus: tuple[tuple[int, int], ...] = ()
    memory: int = 0
    memory_total: int = 0
    load: tuple[float, ...] = ()
    uptime: float = 0.0


def read() -> HostReading:
    """The figures of now; what cannot be read is left empty."""
    memory = meminfo(_text("/proc/meminfo"))
    return HostReading(
        name=os.uname().nodename,
        cpus=ticks(_text("/proc/stat")),
        memory=memory.get("MemTotal", 0) - memory.get("MemAvailable", 0),
        memory_total=memory.get("MemTotal", 0),
        load=tuple(float(word) for word in _text("/proc/loadavg").split()[:3]),
        uptime=float((_text("/proc/uptime").split() or ["0"])[0]),
    )


def ticks(stat: str) -> tuple[tuple[int, int], ...]:
    """(busy, all) of each CPU in the text of /proc/stat."""
    found = []
    for line in stat.splitlines():
        name, *words = line.split() or [""]
        if name.startswith("cpu") and name != "cpu":
            # Guests are counted within user and nice already.
            counts = [int(word) for word in words[:8]]
            idle = sum(counts[i] for i in _IDLE if i < len(counts))
            found.append((sum(counts) - idle, sum(counts)))
    return tuple(found)


def meminfo(text: str) -> dict[str, int]:
    """/proc/meminfo in bytes."""
    found = {}
    for line in text.splitlines():
        name, _, rest = line.partition(":")
        words = rest.split()
        if words:
            found[name] = int(words[0]) * (1024 if words[1:] == ["kB"] else 1)
    return found


def percents(before: Sequence[tuple[int, int]], now: Sequence[tuple[int, int]]) -> tuple[float, ...]:
    """Busy percent of each CPU between two readings; zeros when the number of CPUs has changed."""
    if len(before) != len(now):
        return (0.0,) * len(now)
    return tuple(
        100 * (busy - was_busy) / (every - was_every) if every > was_every else 0.0
        for (was_busy, was_every), (busy, every) in zip(before, now, strict=True)
    )


def _text(path: str) -> str:
    with contextlib.suppress(OSError), open(path) as file:
        return file.read()
    return ""
