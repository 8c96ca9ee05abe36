"""Applying a merged `ContainerAdjustment` to an OCI runtime spec (plain dicts both); containerd/nri, runtime-tools."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence

from cricket.errors import Unimplemented
from cricket.nri.adjust import HOOK_KINDS
from cricket.nri.apply_linux import apply_linux
from cricket.nri.apply_mounts import apply_mounts
from cricket.nri.plain import Plain

InjectCdi = Callable[[Plain, Sequence[str]], None]
"""Takes a spec, which it changes, and fully qualified CDI device names. Raises what CDI raises."""

_HOOK_NAMES = {
    "prestart": "prestart",
    "create_runtime": "createRuntime",
    "create_container": "createContainer",
    "start_container": "startContainer",
    "poststart": "poststart",
    "poststop": "poststop",
}


def apply(spec: Plain, adjustment: Plain, inject_cdi: InjectCdi | None = None) -> Plain:
    """The adjusted spec; `spec` itself stays as it is.

    Raises Unimplemented for what this runtime cannot do (block I/O classes; CDI without an injector), InvalidArgument
    for values that no runtime accepts.
    """
    if not adjustment:
        return spec
    spec = copy.deepcopy(spec)
    _apply_annotations(spec, adjustment.get("annotations", {}))
    _apply_env(spec, adjustment.get("env", ()))
    if args := adjustment.get("args"):
        spec.setdefault("process", {})["args"] = list(args)
    _apply_hooks(spec, adjustment.get("hooks", {}))
    _apply_cdi(spec, adjustment.get("CDI_devices", ()), inject_cdi)
    apply_linux(spec, adjustment.get("linux", {}))
    apply_mounts(spec, adjustment.get("mounts", ()))
    _apply_rlimits(spec, adjustment.get("rlimits", ()))
    return spec


def _apply_annotations(spec: Plain, annotations: Plain) -> None:
    if not annotations:
        return
    target = spec.setdefault("annotations", {})
    for key, value in annotations.items():
        if key.startswith("-"):
            target.pop(key[1:], None)
        else:
            target[key] = value


def _apply_env(spec: Plain, env: Sequence[Plain]) -> None:
    """A variable that exists keeps its place; new ones come last."""
    if not env:
        return
    changes = {item.get("key", "").removeprefix("-"): item for item in env}
    result = []
    for entry in spec.setdefault("process", {}).get("env", ()):
        name = entry.partition("=")[0]
        if name not in changes:
            result.append(entry)
        elif (change := changes.pop(name)).get("key", "") == name:
            result.append(f"{name}={change.get('value', '')}")
    for item in changes.values():
        if not item.get("key", "").startswith("-"):
            result.append(f"{item.get('key', '')}={item.get('value', '')}")
    spec["process"]["env"] = result


def _apply_hooks(spec: Plain, hooks: Plain) -> None:
    for kind in HOOK_KINDS:
        for hook in hooks.get(kind, ()):
            entry = {name: copy.copy(hook[name]) for name in ("path", "args", "env", "timeout") if name in hook}
            spec.setdefault("hooks", {}).setdefault(_HOOK_NAMES[kind], []).append(entry)


def _apply_cdi(spec: Plain, devices: Sequence[Plain], inject: InjectCdi | None) -> None:
    if not devices:
        return
    names = [device.get("name", "") for device in devices]
    if inject is None:
        raise Unimplemented("an NRI plugin asks for CDI devices, which this runtime does not inject", where=names[0])
    inject(spec, names)


def _apply_rlimits(spec: Plain, rlimits: Sequence[Plain]) -> None:
    """The OCI spec forbids two limits of one type, so an existing one is replaced."""
    if not rlimits:
        return
    process = spec.setdefault("process", {})
    kinds = {limit.get("type", "") for limit in rlimits}
    kept = [limit for limit in process.get("rlimits", ()) if limit.get("type") not in kinds]
    added = [{"type": x.get("type", ""), "hard": x.get("hard", 0), "soft": x.get("soft", 0)} for x in rlimits]
    process["rlimits"] = kept + added
