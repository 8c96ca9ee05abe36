"""The usage of a pod that has no cgroup of its own: the sum over its containers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from cricket.kernel.cgroup_read import Reading
from cricket.types.stats import ContainerUsage, Cpu, Memory, Pids


def add_up(usages: Sequence[ContainerUsage]) -> Reading:
    """CPU, memory and processes of the containers together; what none of them has is None."""
    return Reading(
        _cpu([usage.cpu for usage in usages if usage.cpu]),
        _memory([usage.memory for usage in usages if usage.memory]),
        None,
        _pids([usage.pids for usage in usages if usage.pids]),
    )


def _cpu(parts: Sequence[Cpu]) -> Cpu | None:
    if not parts:
        return None
    return Cpu(
        max(part.timestamp for part in parts),
        sum(part.usage_ns for part in parts),
        nano_cores=_sum(part.nano_cores for part in parts),
        user_ns=_sum(part.user_ns for part in parts),
        system_ns=_sum(part.system_ns for part in parts),
    )


def _memory(parts: Sequence[Memory]) -> Memory | None:
    if not parts:
        return None
    limits = [part.limit for part in parts]
    return Memory(
        max(part.timestamp for part in parts),
        sum(part.usage for part in parts),
        sum(part.working_set for part in parts),
        sum(part.rss for part in parts),
        # One container without a limit means that the pod has none.
        available=None if None in limits else _sum(part.available for part in parts),
        limit=None if None in limits else _sum(limits),
        page_faults=_sum(part.page_faults for part in parts),
        major_page_faults=_sum(part.major_page_faults for part in parts),
        cache=_sum(part.cache for part in parts),
        mapped_file=_sum(part.mapped_file for part in parts),
        swap_usage=_sum(part.swap_usage for part in parts),
        oom_kills=_sum(part.oom_kills for part in parts),
    )


def _pids(parts: Sequence[Pids]) -> Pids | None:
    if not parts:
        return None
    return Pids(
        max(part.timestamp for part in parts),
        sum(part.processes for part in parts),
        threads=_sum(part.threads for part in parts),
        file_descriptors=_sum(part.file_descriptors for part in parts),
        sockets=_sum(part.sockets for part in parts),
    )


def _sum(values: Iterable[int | None]) -> int | None:
    """The sum of what is known; None when nothing is."""
    known = [value for value in values if value is not None]
    return sum(known) if known else None
