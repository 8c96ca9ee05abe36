"""What pods and containers use: rates from counters, and limits."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar

from cricket.cli.top.model import Container, Usage

_NANOSECONDS = 1_000_000_000
_Number = TypeVar("_Number", int, float)


class Gauges:
    """Usage of pods and containers. Counters are remembered until they are asked for no more."""

    def __init__(self) -> None:
        self._last: dict[tuple[str, str], tuple[int, int, float | None]] = {}
        self._seen: set[tuple[str, str]] = set()

    def rate(self, key: tuple[str, str], count: int, time: int) -> float | None:
        """Counts per second since the last time (Unix nanoseconds); None the first time. A runtime that measures less
        often than it is asked gives the same reading again: then the rate is the one of before. A counter that went
        back has begun anew."""
        self._seen.add(key)
        before = self._last.get(key)
        if before is not None and time <= before[1]:
            return before[2]
        speed = None
        if before is not None and count >= before[0]:
            speed = (count - before[0]) * _NANOSECONDS / (time - before[1])
        self._last[key] = (count, time, speed)
        return speed

    def sweep(self) -> None:
        """Forget what was not asked for since the last sweep."""
        self._last = {key: known for key, known in self._last.items() if key in self._seen}
        self._seen.clear()

    def container(self, stats: Any, status: Any = None) -> Usage:
        """Of a ContainerStats; the limit of CPU is known from a ContainerStatus only."""
        key = stats.attributes.id
        used, spare = _value(stats.memory, "working_set_bytes"), _value(stats.memory, "available_bytes")
        cpu_limit, limit = 0.0, 0
        if status is not None:
            limits = status.resources.linux
            limit = max(0, limits.memory_limit_in_bytes)
            cpu_limit = 100 * limits.cpu_quota / (limits.cpu_period or 100_000) if limits.cpu_quota > 0 else 0.0
        # A runtime that does not tell limits still tells what is left of them.
        limit = limit or (used + spare if used is not None and spare else 0)
        return Usage(
            cpu=self.cpu(key, stats.cpu),
            cpu_limit=cpu_limit,
            memory=used,
            memory_limit=limit,
            disk=_value(stats.writable_layer, "used_bytes"),
            inodes=_value(stats.writable_layer, "inodes_used"),
        )

    def pod(self, stats: Any, parts: Usage) -> Usage:
        """Of a PodSandboxStats, or without one; `parts` is what its containers use together."""
        if stats is None:
            return parts
        key, linux = stats.attributes.id, stats.linux
        wire, received, sent = linux.network.default_interface, None, None
        if linux.network.HasField("default_interface"):
            time = linux.network.timestamp or linux.cpu.timestamp  # containerd 1.6 leaves the first one out
            received = self.rate((key, "received"), wire.rx_bytes.value, time)
            sent = self.rate((key, "sent"), wire.tx_bytes.value, time)
        return Usage(
            cpu=self.cpu(key, linux.cpu),
            cpu_limit=parts.cpu_limit,
            memory=_value(linux.memory, "working_set_bytes"),
            memory_limit=parts.memory_limit,
            received=received,
            sent=sent,
            received_total=_value(wire, "rx_bytes"),
            sent_total=_value(wire, "tx_bytes"),
            disk=parts.disk,
            inodes=parts.inodes,
            processes=_value(linux.process, "process_count"),
        )

    def cpu(self, key: str, cpu: Any) -> float | None:
        """Percent of one CPU, of a CpuUsage; the first time what the runtime says itself, if it does."""
        if not cpu.HasField("usage_core_nano_seconds"):
            return None
        speed = self.rate((key, "cpu"), cpu.usage_core_nano_seconds.value, cpu.timestamp)
        if speed is None:
            return cpu.usage_nano_cores.value / 1e7 if cpu.HasField("usage_nano_cores") else None
        return speed / 1e7


def together(containers: Iterable[Container]) -> Usage:
    """What running containers use. They are limited when each of them is."""
    parts = [container.usage for container in containers if container.state == "Running"]
    return Usage(
        cpu=_sum(part.cpu for part in parts),
        cpu_limit=sum((p.cpu_limit for p in parts), 0.0) if all(p.cpu_limit for p in parts) else 0.0,
        memory=_sum(part.memory for part in parts),
        memory_limit=sum(p.memory_limit for p in parts) if all(p.memory_limit for p in parts) else 0,
        disk=_sum(part.disk for part in parts),
        inodes=_sum(part.inodes for part in parts),
    )


def _value(message: Any, field: str) -> int | None:
    return int(getattr(message, field).value) if message.HasField(field) else None


def _sum(values: Iterable[_Number | None]) -> _Number | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None
