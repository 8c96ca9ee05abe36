"""Resource limits and devices (CRI `LinuxContainerResources`)."""

from __future__ import annotations

import msgspec


class Hugepage(msgspec.Struct, frozen=True, omit_defaults=True):
    """A limit for one page size; `page_size` as the kernel spells it ("2MB", "1GB"), `limit` in bytes."""

    page_size: str
    limit: int


class Resources(msgspec.Struct, frozen=True, omit_defaults=True):
    """Limits; 0 and "" mean unset. Periods and quotas in microseconds, memory in bytes, swap includes memory."""

    cpu_period: int = 0
    cpu_quota: int = 0
    cpu_shares: int = 0
    memory_limit: int = 0
    memory_swap_limit: int = 0
    oom_score_adj: int = 0
    cpuset_cpus: str = ""
    cpuset_mems: str = ""
    hugepages: tuple[Hugepage, ...] = ()
    unified: dict[str, str] = {}


class Device(msgspec.Struct, frozen=True, omit_defaults=True):
    """A host device made visible in the container; `permissions` is a subset of "rwm"."""

    container_path: str
    host_path: str
    permissions: str = "rwm"
