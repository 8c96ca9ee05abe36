"""What an OCI runtime spec says, in NRI's words (plain): the part of a container message that plugins may adjust."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from cricket.nri.plain import Plain

_HOOKS = {
    "prestart": "prestart",
    "createRuntime": "create_runtime",
    "createContainer": "create_container",
    "startContainer": "start_container",
    "poststart": "poststart",
    "poststop": "poststop",
}
_MEMORY = {
    "limit": "limit",
    "reservation": "reservation",
    "swap": "swap",
    "kernel": "kernel",
    "kernelTCP": "kernel_tcp",
    "swappiness": "swappiness",
    "disableOOMKiller": "disable_oom_killer",
    "useHierarchy": "use_hierarchy",
}
_CPU = {
    "shares": "shares",
    "quota": "quota",
    "period": "period",
    "realtimeRuntime": "realtime_runtime",
    "realtimePeriod": "realtime_period",
    "cpus": "cpus",
    "mems": "mems",
}
_MOUNT = {"destination": "destination", "type": "type", "source": "source", "options": "options"}
_HOOK = {"path": "path", "args": "args", "env": "env", "timeout": "timeout"}
_RLIMIT = {"type": "type", "hard": "hard", "soft": "soft"}
_USER = {"uid": "uid", "gid": "gid", "additionalGids": "additional_gids"}
_NAMESPACE = {"type": "type", "path": "path"}
_DEVICE = {
    "path": "path",
    "type": "type",
    "major": "major",
    "minor": "minor",
    "fileMode": "file_mode",
    "uid": "uid",
    "gid": "gid",
}
_RULE = {"allow": "allow", "type": "type", "major": "major", "minor": "minor", "access": "access"}
_RDT = {"closID": "clos_id", "schemata": "schemata", "enableMonitoring": "enable_monitoring"}
_SCHEDULER = {name: name for name in ("policy", "nice", "priority", "flags", "runtime", "deadline", "period")}
_SECCOMP = {
    "defaultAction": "default_action",
    "defaultErrnoRet": "default_errno",
    "architectures": "architectures",
    "flags": "flags",
    "listenerPath": "listener_path",
    "listenerMetadata": "listener_metadata",
}
_SYSCALL = {"names": "names", "action": "action", "errnoRet": "errno_ret"}
_ARG = {"index": "index", "value": "value", "valueTwo": "value_two", "op": "op"}


def container_fields(spec: Plain) -> Plain:
    """The members of NRI's `Container` that come from the spec."""
    process = spec.get("process") or {}
    found: Plain = {
        "annotations": dict(spec.get("annotations") or {}),
        "args": list(process.get("args") or ()),
        "env": list(process.get("env") or ()),
        "mounts": _pick_all(spec.get("mounts"), _MOUNT),
        "rlimits": _pick_all(process.get("rlimits"), _RLIMIT),
        "hooks": {nri: _pick_all((spec.get("hooks") or {}).get(oci), _HOOK) for oci, nri in _HOOKS.items()},
        "linux": _linux(spec.get("linux") or {}, process),
    }
    if user := process.get("user"):
        found["user"] = _pick(user, _USER)
    return found


def _linux(linux: Plain, process: Plain) -> Plain:
    found: Plain = {
        "namespaces": _pick_all(linux.get("namespaces"), _NAMESPACE),
        "devices": _pick_all(linux.get("devices"), _DEVICE),
        "resources": resources(linux.get("resources") or {}),
        "cgroups_path": linux.get("cgroupsPath", ""),
        "sysctl": dict(linux.get("sysctl") or {}),
        "net_devices": {k: _pick(v, {"name": "name"}) for k, v in (linux.get("netDevices") or {}).items()},
    }
    if process.get("oomScoreAdj") is not None:
        found["oom_score_adj"] = process["oomScoreAdj"]
    for oci, nri, names in (
        ("ioPriority", "io_priority", {"class": "class", "priority": "priority"}),
        ("scheduler", "scheduler", _SCHEDULER),
    ):
        if process.get(oci):
            found[nri] = _pick(process[oci], names)
    if linux.get("intelRdt"):
        found["rdt"] = _pick(linux["intelRdt"], _RDT)
    if linux.get("seccomp"):
        found["seccomp_policy"] = _seccomp(linux["seccomp"])
    return found


def resources(oci: Plain) -> Plain:
    """NRI's `LinuxResources` of an OCI spec's `linux.resources`."""
    found: Plain = {}
    for part, names in (("memory", _MEMORY), ("cpu", _CPU)):
        if oci.get(part) is not None:
            found[part] = _pick(oci[part], names)
    found["hugepage_limits"] = _pick_all(oci.get("hugepageLimits"), {"pageSize": "page_size", "limit": "limit"})
    found["devices"] = _pick_all(oci.get("devices"), _RULE)
    found["unified"] = dict(oci.get("unified") or {})
    if oci.get("pids") is not None:
        found["pids"] = _pick(oci["pids"], {"limit": "limit"})
    return found


def _seccomp(oci: Plain) -> Plain:
    found = _pick(oci, _SECCOMP)
    found["syscalls"] = [
        _pick(each, _SYSCALL) | {"args": _pick_all(each.get("args"), _ARG)} for each in oci.get("syscalls") or ()
    ]
    return found


def _pick(value: Plain, names: Mapping[str, str]) -> Plain:
    return {nri: value[oci] for oci, nri in names.items() if value.get(oci) is not None}


def _pick_all(values: Iterable[Any] | None, names: Mapping[str, str]) -> list[Plain]:
    return [_pick(each, names) for each in values or ()]
