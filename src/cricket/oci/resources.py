"""Limits: CRI resources as OCI `linux.resources`, for the spec and for `update`."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable

from cricket.errors import FailedPrecondition, InvalidArgument
from cricket.oci import check
from cricket.oci.host import HostFacts
from cricket.oci.inputs import JsonDict
from cricket.types.resources import Hugepage, Resources

log = logging.getLogger(__name__)

_INT64 = (1 << 63) - 1
_PERIOD = (1000, 1_000_000)
_PAGE_SIZE = re.compile(r"[1-9]\d{0,6}(KB|MB|GB)")
_CPU_LIST = re.compile(r"\d{1,6}(-\d{1,6})?(,\d{1,6}(-\d{1,6})?)*")
_UNIFIED_KEY = re.compile(r"[a-z0-9_]+(\.[A-Za-z0-9_\-]+)+")
_told: set[int] = set()


def linux_resources(resources: Resources, host: HostFacts) -> JsonDict:
    """OCI `linux.resources` without devices and pids. Raises InvalidArgument, FailedPrecondition."""
    result: JsonDict = {}
    for key, value in (("cpu", _cpu(resources)), ("memory", _memory(resources, host))):
        if value:
            result[key] = value
    pages = _hugepages(resources.hugepages, host)
    if pages:
        result["hugepageLimits"] = pages
    if resources.unified:
        result["unified"] = _unified(resources, host)
    return result


def oom_score_adj(value: int, host: HostFacts) -> int:
    """The score to write. What the kernel would refuse is raised to the least that it allows, which is logged once."""
    check.between(value, -1000, 1000, "oom_score_adj")
    if value >= host.oom_score_adj_min:
        return value
    if host.oom_score_adj_min not in _told:
        _told.add(host.oom_score_adj_min)
        log.warning(
            "without CAP_SYS_RESOURCE oom_score_adj cannot be lowered: %d is used where less is asked for",
            host.oom_score_adj_min,
        )
    return host.oom_score_adj_min


def _cpu(resources: Resources) -> JsonDict:
    cpu: JsonDict = {}
    if resources.cpu_period:
        cpu["period"] = check.between(resources.cpu_period, *_PERIOD, "cpu_period")
    if resources.cpu_quota:
        # A negative quota is none. The kernel wants at least 1 ms.
        cpu["quota"] = -1 if resources.cpu_quota < 0 else check.between(resources.cpu_quota, 1000, _INT64, "cpu_quota")
    if resources.cpu_shares:
        cpu["shares"] = max(check.between(resources.cpu_shares, 0, 1 << 40, "cpu_shares"), 2)
    for key, value in (("cpus", resources.cpuset_cpus), ("mems", resources.cpuset_mems)):
        if value:
            if not _CPU_LIST.fullmatch(value):
                raise InvalidArgument(f"{value[:100]!r} is no list like 0-3,5", where=f"cpuset_{key}")
            cpu[key] = value
    return cpu


def _memory(resources: Resources, host: HostFacts) -> JsonDict:
    limit, swap = resources.memory_limit, resources.memory_swap_limit
    for value, field in ((limit, "memory_limit_in_bytes"), (swap, "memory_swap_limit_in_bytes")):
        check.between(value, -1, _INT64, field)
    memory: JsonDict = {}
    if limit:
        memory["limit"] = limit
    if not host.swap:
        return memory
    if swap > 0 and limit <= 0:
        raise InvalidArgument("a limit of memory and swap needs a limit of memory", where="memory_swap_limit_in_bytes")
    if 0 < swap < limit:
        raise InvalidArgument(
            f"memory and swap together ({swap}) are less than memory ({limit})", where="memory_swap_limit_in_bytes"
        )
    # OCI counts memory and swap together, as v1 does; the same value means that the container does not swap.
    if swap or limit:
        memory["swap"] = swap or limit
    return memory


def _hugepages(limits: Iterable[Hugepage], host: HostFacts) -> list[JsonDict]:
    """The kubelet names each size of the node, mostly with 0; what the kernel has not, 0 describes well enough."""
    result = []
    for page in limits:
        if not _PAGE_SIZE.fullmatch(page.page_size):
            raise InvalidArgument(f"{page.page_size[:64]!r} is no page size like 2MB", where="hugepage_limits")
        check.between(page.limit, 0, (1 << 64) - 1, "hugepage_limits.limit")
        if page.page_size in host.hugepage_sizes:
            result.append({"pageSize": page.page_size, "limit": page.limit})
        elif page.limit:
            raise FailedPrecondition(
                f"huge pages of {page.page_size} cannot be limited here: the size or the hugetlb cgroup is missing",
                where="hugepage_limits",
            )
    return result


def _unified(resources: Resources, host: HostFacts) -> dict[str, str]:
    if host.cgroup_version != 2:
        raise FailedPrecondition("unified resources need cgroup v2, and this host has v1", where="unified")
    for key, value in resources.unified.items():
        # "cgroup." files are the structure (procs, type, freeze), not limits.
        if not _UNIFIED_KEY.fullmatch(key) or key.startswith("cgroup."):
            raise InvalidArgument(f"{key[:64]!r} is no cgroup v2 limit", where="unified")
        check.text(value, f"unified[{key}]")
    return dict(resources.unified)
