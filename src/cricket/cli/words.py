"""How numbers, times and ids are put for people."""

from __future__ import annotations

import time

_SECOND = 1_000_000_000


def age(created_at: int, now: int | None = None) -> str:
    """The time since a moment in Unix nanoseconds, in one unit: `45s`, `12m`, `5h`, `3d`; `-` for 0 (never)."""
    if created_at <= 0:
        return "-"
    return span(((time.time_ns() if now is None else now) - created_at) / _SECOND)


def span(seconds: float) -> str:
    """A time span of people's size, in one unit."""
    whole = max(0, int(seconds))
    for size, unit in ((86400, "d"), (3600, "h"), (60, "m")):
        if whole >= 2 * size:
            return f"{whole // size}{unit}"
    return f"{whole}s"


def took(seconds: float) -> str:
    """A time span of a computer's size: `3.1ms`, `250ms`, `1.25s`, `95.0s`, `12m`."""
    if seconds < 0.01:
        return f"{seconds * 1000:.1f}ms"
    if seconds < 1:
        return f"{seconds * 1000:.0f}ms"
    if seconds < 10:
        return f"{seconds:.2f}s"
    return f"{seconds:.1f}s" if seconds < 120 else span(seconds)


def size(count: float) -> str:
    """Bytes in decimal units, as disks and registries go: `820B`, `2.2MB`."""
    return _scaled(count, 1000, ("B", "kB", "MB", "GB", "TB", "PB"))


def memory(count: float) -> str:
    """Bytes in binary units, as memory limits go: `820B`, `2.1MiB`."""
    return _scaled(count, 1024, ("B", "KiB", "MiB", "GiB", "TiB", "PiB"))


def _scaled(count: float, base: int, units: tuple[str, ...]) -> str:
    scale = 0
    while count >= base and scale < len(units) - 1:
        count, scale = count / base, scale + 1
    digits = 0 if scale == 0 or count >= 100 else 1 if count >= 10 else 2
    return f"{count:.{digits}f}{units[scale]}"


def short(object_id: str) -> str:
    """The first 13 digits of an id, without the algorithm."""
    return object_id.removeprefix("sha256:")[:13]


def moment(timestamp: int) -> str:
    """Unix nanoseconds as local time, to the millisecond."""
    seconds, nanos = divmod(timestamp, _SECOND)
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds)) + f".{nanos // 1_000_000:03d}"
