"""Resources of an adjustment, applied to an OCI spec."""

from __future__ import annotations

from cricket.errors import Unimplemented
from cricket.nri.plain import Plain

_CPU = {
    "shares": "shares",
    "quota": "quota",
    "period": "period",
    "realtime_runtime": "realtimeRuntime",
    "realtime_period": "realtimePeriod",
    "cpus": "cpus",
    "mems": "mems",
}
_MEMORY = {
    "limit": "limit",
    "reservation": "reservation",
    "swap": "swap",
    "kernel": "kernel",
    "kernel_tcp": "kernelTCP",
    "swappiness": "swappiness",
    "disable_oom_killer": "disableOOMKiller",
    "use_hierarchy": "useHierarchy",
}


def apply_resources(linux: Plain, resources: Plain) -> None:
    """Write the adjusted values to `linux.resources` of the spec; raises Unimplemented for a block I/O class."""
    if not resources:
        return
    target = linux.setdefault("resources", {})
    for part, names in (("cpu", _CPU), ("memory", _MEMORY)):
        for name, value in resources.get(part, {}).items():
            target.setdefault(part, {})[names[name]] = value
    _follow_limit(target, resources.get("memory", {}))
    if "pids" in resources:
        # NRI: -1 is unlimited; OCI up to 1.2: any value of 0 or less.
        target["pids"] = {"limit": max(resources["pids"].get("limit", 0), -1)}
    for limit in resources.get("hugepage_limits", ()):
        entry = {"pageSize": limit.get("page_size", ""), "limit": limit.get("limit", 0)}
        others = [each for each in target.get("hugepageLimits", ()) if each.get("pageSize") != entry["pageSize"]]
        target["hugepageLimits"] = [*others, entry]
    if unified := resources.get("unified"):
        target.setdefault("unified", {}).update(unified)
    for rule in resources.get("devices", ()):
        target.setdefault("devices", []).append(_rule(rule))
    _apply_classes(linux, target, resources)


def _follow_limit(target: Plain, memory: Plain) -> None:
    """A new memory limit takes the limit of memory and swap along, unless that is given too: it may not be lower."""
    if memory.get("limit") and "swap" not in memory and "swap" in target["memory"]:
        target["memory"]["swap"] = memory["limit"]


def _rule(rule: Plain) -> Plain:
    entry = {"allow": rule.get("allow", False)}
    for name in ("type", "major", "minor", "access"):
        if name in rule:
            entry[name] = rule[name]
    return entry


def _apply_classes(linux: Plain, target: Plain, resources: Plain) -> None:
    if name := resources.get("blockio_class"):
        raise Unimplemented("an NRI plugin asks for a block I/O class; none is configured here", where=name)
    if "blockio_class" in resources:
        target.pop("blockIO", None)
    if "rdt_class" in resources:
        linux.pop("intelRdt", None)
        if name := resources["rdt_class"]:
            linux["intelRdt"] = {"closID": name}
