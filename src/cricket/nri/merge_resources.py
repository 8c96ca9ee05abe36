"""Merging the resources that a plugin asks for, with a claim on each value that it sets."""

from __future__ import annotations

import copy
from collections.abc import Iterable

from cricket.nri.claims import Claims, Field
from cricket.nri.plain import Plain

_MEMORY = {
    "limit": Field.MemLimit,
    "reservation": Field.MemReservation,
    "swap": Field.MemSwapLimit,
    "kernel": Field.MemKernelLimit,
    "kernel_tcp": Field.MemTCPLimit,
    "swappiness": Field.MemSwappiness,
    "disable_oom_killer": Field.MemDisableOomKiller,
    "use_hierarchy": Field.MemUseHierarchy,
}
_CPU = {
    "shares": Field.CPUShares,
    "quota": Field.CPUQuota,
    "period": Field.CPUPeriod,
    "realtime_runtime": Field.CPURealtimeRuntime,
    "realtime_period": Field.CPURealtimePeriod,
    "cpus": Field.CPUSetCPUs,
    "mems": Field.CPUSetMems,
}
_SINGLE = {"blockio_class": Field.BlockioClass, "rdt_class": Field.RdtClass, "pids": Field.PidsLimit}


def merge_resources(change: Plain, claims: Claims, plugin: str, targets: Iterable[Plain]) -> None:
    """Claim every value of `change` (NRI `LinuxResources`) and write it to each target; raises Conflict.

    Device rules are appended and belong to nobody.
    """
    targets = list(targets)
    for part, fields in (("memory", _MEMORY), ("cpu", _CPU)):
        for name, value in change.get(part, {}).items():
            claims.claim(fields[name], plugin)
            for target in targets:
                target.setdefault(part, {})[name] = value
    for name, field in _SINGLE.items():
        if name in change:
            claims.claim(field, plugin)
            for target in targets:
                target[name] = copy.deepcopy(change[name])
    for limit in change.get("hugepage_limits", ()):
        size = limit.get("page_size", "")
        claims.claim(Field.HugepageLimits, plugin, size)
        for target in targets:
            others = [each for each in target.get("hugepage_limits", ()) if each.get("page_size", "") != size]
            target["hugepage_limits"] = [*others, dict(limit)]
    for key, value in change.get("unified", {}).items():
        claims.claim(Field.CgroupsUnified, plugin, key)
        for target in targets:
            target.setdefault("unified", {})[key] = value
    for rule in change.get("devices", ()):
        for target in targets:
            target.setdefault("devices", []).append(dict(rule))
