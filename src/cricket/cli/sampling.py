"""CPU use from two measurements, and the small parts of statistics."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from cricket.cli.output import colourful

Sample = Mapping[str, Any]
"""Statistics by id; each has `cpu` as CRI's CpuUsage."""


def samples(measure: Callable[[], Sample], interval: float, watch: bool) -> Iterator[tuple[Sample, Sample]]:
    """Pairs of measurements `interval` seconds apart: one, or with `watch` without end. 0: one measurement, twice."""
    before = measure() if interval else {}
    while True:
        time.sleep(interval)
        now = measure()
        yield before, now
        if not watch:
            return
        before = now
        if colourful():
            print("\x1b[H\x1b[2J", end="")


def cpu_percent(before: Any, now: Any) -> str:
    """Percent of one CPU between two CpuUsages; without a first one what the runtime says itself."""
    if before is not None and now.timestamp > before.timestamp:
        used = now.usage_core_nano_seconds.value - before.usage_core_nano_seconds.value
        return f"{100 * max(0, used) / (now.timestamp - before.timestamp):.1f}"
    return f"{now.usage_nano_cores.value / 1e7:.1f}" if now.HasField("usage_nano_cores") else "-"
