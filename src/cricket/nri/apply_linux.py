"""The Linux part of an adjustment, applied to an OCI spec."""

from __future__ import annotations

from collections.abc import Sequence

from cricket.nri.apply_resources import apply_resources
from cricket.nri.plain import Plain

_RDT = {"clos_id": "closID", "schemata": "schemata", "enable_monitoring": "enableMonitoring"}
_DEVICE = {"path": "path", "type": "type", "file_mode": "fileMode", "uid": "uid", "gid": "gid"}


def apply_linux(spec: Plain, change: Plain) -> None:
    """Everything below `linux`; values that an OCI runtime keeps in `process` go there."""
    if not change:
        return
    linux = spec.setdefault("linux", {})
    process = spec.setdefault("process", {})
    _apply_devices(linux, change.get("devices", ()))
    if path := change.get("cgroups_path"):
        linux["cgroupsPath"] = path
    if "oom_score_adj" in change:
        process["oomScoreAdj"] = change["oom_score_adj"]
    if "io_priority" in change:
        _apply_io_priority(process, change["io_priority"])
    if "scheduler" in change:
        _apply_scheduler(process, change["scheduler"])
    if "seccomp_policy" in change:
        linux["seccomp"] = _seccomp(change["seccomp_policy"])
    _apply_namespaces(linux, change.get("namespaces", ()))
    _apply_map(linux, "sysctl", change.get("sysctl", {}))
    devices = {key: {"name": v["name"]} if "name" in v else {} for key, v in change.get("net_devices", {}).items()}
    _apply_map(linux, "netDevices", devices)
    if "memory_policy" in change:
        linux["memoryPolicy"] = _memory_policy(change["memory_policy"])
    apply_resources(linux, change.get("resources", {}))
    if "rdt" in change:
        _apply_rdt(linux, change["rdt"])


def _apply_devices(linux: Plain, devices: Sequence[Plain]) -> None:
    for device in devices:
        path = device.get("path", "").removeprefix("-")
        linux["devices"] = [each for each in linux.get("devices", ()) if each.get("path") != path]
        if device.get("path") != path:
            continue
        kind, major, minor = device.get("type", ""), device.get("major", 0), device.get("minor", 0)
        entry = {oci: device[name] for name, oci in _DEVICE.items() if name in device}
        linux["devices"].append(entry | {"major": major, "minor": minor})
        access = "rwm" if kind == "b" else "rw"
        rule = {"allow": True, "type": kind, "major": major, "minor": minor, "access": access}
        linux.setdefault("resources", {}).setdefault("devices", []).append(rule)


def _apply_namespaces(linux: Plain, namespaces: Sequence[Plain]) -> None:
    for namespace in namespaces:
        kind = namespace.get("type", "").removeprefix("-")
        others = [each for each in linux.get("namespaces", ()) if each.get("type") != kind]
        if namespace.get("type") == kind:
            others.append({name: namespace[name] for name in ("type", "path") if name in namespace})
        linux["namespaces"] = others


def _apply_map(linux: Plain, name: str, change: Plain) -> None:
    for key, value in change.items():
        if key.startswith("-"):
            linux.get(name, {}).pop(key[1:], None)
        else:
            linux.setdefault(name, {})[key] = value


def _apply_io_priority(process: Plain, priority: Plain) -> None:
    """No class (IOPRIO_CLASS_NONE) takes the priority away."""
    process.pop("ioPriority", None)
    if "class" in priority:
        process["ioPriority"] = {"class": priority["class"], "priority": priority.get("priority", 0)}


def _apply_scheduler(process: Plain, scheduler: Plain) -> None:
    """No policy (SCHED_NONE) takes the scheduler away."""
    process.pop("scheduler", None)
    if "policy" in scheduler:
        process["scheduler"] = dict(scheduler)


def _memory_policy(policy: Plain) -> Plain:
    entry: Plain = {"mode": policy.get("mode", "MPOL_DEFAULT"), "nodes": policy.get("nodes", "")}
    if flags := policy.get("flags"):
        entry["flags"] = list(flags)
    return entry


def _apply_rdt(linux: Plain, rdt: Plain) -> None:
    if rdt.get("remove"):
        linux.pop("intelRdt", None)
    for name, oci in _RDT.items():
        if name in rdt:
            linux.setdefault("intelRdt", {})[oci] = rdt[name]


def _seccomp(policy: Plain) -> Plain:
    entry: Plain = {"defaultAction": policy.get("default_action", "")}
    if "default_errno" in policy:
        entry["defaultErrnoRet"] = policy["default_errno"]
    for name, oci in (("listener_path", "listenerPath"), ("listener_metadata", "listenerMetadata")):
        if name in policy:
            entry[oci] = policy[name]
    for name in ("architectures", "flags"):
        if policy.get(name):
            entry[name] = list(policy[name])
    if syscalls := [_syscall(each) for each in policy.get("syscalls", ())]:
        entry["syscalls"] = syscalls
    return entry


def _syscall(syscall: Plain) -> Plain:
    entry: Plain = {"names": list(syscall.get("names", ())), "action": syscall.get("action", "")}
    if "errno_ret" in syscall:
        entry["errnoRet"] = syscall["errno_ret"]
    if args := syscall.get("args"):
        entry["args"] = [
            {
                "index": arg.get("index", 0),
                "value": arg.get("value", 0),
                "valueTwo": arg.get("value_two", 0),
                "op": arg.get("op", ""),
            }
            for arg in args
        ]
    return entry
