"""Measurements for the fake engine: every field is set; time and CPU advance by a second a reading."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import msgspec

from cricket.types.image import FsUsage
from cricket.types.stats import (
    BlkDevice,
    ContainerUsage,
    Cpu,
    FsCapacity,
    HugetlbUsage,
    Interface,
    Io,
    Memory,
    Pids,
    Psi,
    PsiLine,
    SandboxUsage,
)

AT = 1_700_000_000_000_000_000
_S = 1_000_000_000
_PSI = Psi(some=PsiLine(2_000_000, 0.5, 0.25, 0.125), full=PsiLine(1_000_000, 0.25, 0.125, 0.0625))

CPU = Cpu(AT, 60 * _S, 250_000_000, 40 * _S, 20 * _S, 5, 11, 3 * _S, _PSI)
MEMORY = Memory(
    timestamp=AT,
    usage=50_000_000,
    working_set=40_000_000,
    rss=30_000_000,
    available=60_000_000,
    page_faults=1234,
    major_page_faults=12,
    cache=9_000_000,
    mapped_file=4_000_000,
    max_usage=55_000_000,
    failcnt=2,
    limit=100_000_000,
    kernel=700_000,
    swap_usage=8_000,
    swap_available=9_000,
    oom_kills=1,
    psi=_PSI,
)
IO = Io(AT, (BlkDevice("8:0", 100, 200, 10, 20),), _PSI)
PIDS = Pids(AT, 3, 5, 100, 17, 4, 1024)
INTERFACES = (
    Interface("lo", 1, 1, 0, 0, 1, 1, 0, 0),
    Interface("eth0", 1000, 10, 1, 2, 2000, 20, 3, 4),
    Interface("net1", 5, 6, 7, 8, 9, 10, 11, 12),
)


_readings = itertools.count(1)


def _cpu() -> Cpu:
    reading = next(_readings)
    return msgspec.structs.replace(CPU, timestamp=AT + reading * _S, usage_ns=CPU.usage_ns + reading * _S // 4)


def container(container_id: str) -> ContainerUsage:
    """One container."""
    return ContainerUsage(
        container_id,
        _cpu(),
        MEMORY,
        IO,
        PIDS,
        FsUsage("/var/lib/cricket", 7000, 21, AT),
        FsCapacity("/dev/vda1", 1 << 40, 1 << 20, 1 << 19),
        (HugetlbUsage("2MB", 4 << 20, 8 << 20),),
    )


def sandbox(sandbox_id: str, container_ids: Sequence[str]) -> SandboxUsage:
    """One sandbox with its running containers."""
    usages = tuple(container(i) for i in container_ids)
    return SandboxUsage(sandbox_id, _cpu(), MEMORY, IO, PIDS, INTERFACES, AT, usages)
