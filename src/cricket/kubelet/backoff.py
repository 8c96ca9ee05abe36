"""Exponential back-off as the kubelet has it (client-go util/flowcontrol, with the values of kubelet.go).

The first restart is at once; then it waits 10 s, 20 s, ... 5 min after each end, and begins anew when an end comes more
than 10 min after the last time that it waited.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from cricket.kubelet.loop_records import SECOND

FIRST, MOST = 10 * SECOND, 300 * SECOND


class Entry(msgspec.Struct, frozen=True):
    """How long the next wait is, and when that was decided; nanoseconds."""

    delay: int
    updated: int


class Limits(msgspec.Struct, frozen=True):
    """The first and the longest wait, in nanoseconds; tests want shorter ones."""

    first: int = FIRST
    most: int = MOST


def until(entries: Mapping[str, Entry], key: str, since: int, now: int, limits: Limits = Limits()) -> int:
    """When the wait is over that began with an end at `since`; 0: there is none to wait for."""
    entry = entries.get(key)
    if entry is None or since - entry.updated > 2 * limits.most:
        return 0
    over = since + entry.delay
    return over if now < over else 0


def after(entries: Mapping[str, Entry], key: str, since: int, now: int, limits: Limits = Limits()) -> Entry:
    """The entry once another attempt is made after an end at `since`."""
    entry = entries.get(key)
    if entry is None or since - entry.updated > 2 * limits.most:
        return Entry(limits.first, now)
    return Entry(min(entry.delay * 2, limits.most), now)


def words(delay: int) -> str:
    """A wait as Go writes it: "10s", "1m20s", "5m0s"."""
    if delay < SECOND:
        return f"{delay // 1_000_000}ms"
    minutes, seconds = divmod(delay // SECOND, 60)
    return f"{minutes}m{seconds}s" if minutes else f"{seconds}s"
