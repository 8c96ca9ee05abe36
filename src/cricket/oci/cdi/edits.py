"""Applying containerEdits to a runtime spec."""

from __future__ import annotations

import os
import stat

import msgspec

from cricket.errors import FailedPrecondition, map_errors
from cricket.oci.cdi.model import DeviceNodeEdit, Edits, MountEdit
from cricket.oci.hooks import add_hook
from cricket.oci.inputs import JsonDict
from cricket.oci.mounts import depth

_KINDS = {stat.S_IFCHR: "c", stat.S_IFBLK: "b", stat.S_IFIFO: "p"}


def apply_edits(spec: JsonDict, edits: Edits) -> None:
    """Change `spec` in place. Raises FailedPrecondition when a device node of the host is missing or another kind."""
    if edits.env:
        _env(spec["process"], edits.env)
    for node in edits.device_nodes:
        _device(spec, node)
    for device in edits.net_devices:
        spec["linux"].setdefault("netDevices", {})[device.host_interface_name] = {"name": device.name}
    if edits.mounts:
        _mounts(spec, edits.mounts)
    for hook in edits.hooks:
        program: JsonDict = {"path": hook.path}
        if hook.args:
            program["args"] = hook.args
        if hook.env:
            program["env"] = hook.env
        if hook.timeout is not None:
            program["timeout"] = hook.timeout
        add_hook(spec, [hook.hook_name], program)
    if edits.intel_rdt is not None:
        spec["linux"]["intelRdt"] = msgspec.to_builtins(edits.intel_rdt)
    if edits.additional_gids:
        user = spec["process"]["user"]
        wanted = [*user.get("additionalGids", ()), *(g for g in edits.additional_gids if g)]
        user["additionalGids"] = list(dict.fromkeys(wanted))


def _env(process: JsonDict, entries: list[str]) -> None:
    """A variable that is there already is replaced."""
    env = {e.partition("=")[0]: e for e in process.get("env", ())}
    env.update((e.partition("=")[0], e) for e in entries)
    process["env"] = list(env.values())


def _device(spec: JsonDict, edit: DeviceNodeEdit) -> None:
    linux, user = spec["linux"], spec["process"]["user"]
    device = _with_host(edit)
    # A device without an owner belongs to the container's user, so that it can be used without root.
    for key, own in (("uid", edit.uid), ("gid", edit.gid)):
        value = own if own is not None else user.get(key)
        if value or own is not None:
            device[key] = value
    linux["devices"] = [d for d in linux.get("devices", ()) if d["path"] != edit.path] + [device]
    if device["type"] in ("b", "c"):
        access = {"": "rwm", "none": ""}.get(edit.permissions, edit.permissions)
        rule = {"allow": True, "type": device["type"], "major": device["major"], "minor": device["minor"]}
        linux.setdefault("resources", {}).setdefault("devices", []).append({**rule, "access": access})


def _with_host(edit: DeviceNodeEdit) -> JsonDict:
    """The node with what the file leaves out taken from the host; one that is fully described need not exist."""
    host, kind = edit.host_path or edit.path, {"u": "c"}.get(edit.type, edit.type)
    complete = bool(kind) and (edit.major != 0 or kind == "p")
    device: JsonDict = {"path": edit.path, "type": kind, "major": edit.major, "minor": edit.minor}
    mode = edit.file_mode
    with map_errors(OSError, FailedPrecondition, "cannot use the host's device of a CDI device", where=host):
        try:
            status = os.lstat(host)
        except FileNotFoundError:
            if not complete:
                raise
        else:
            found = _KINDS.get(stat.S_IFMT(status.st_mode), "")
            if not complete and (not found or (kind and kind != found)):
                raise FailedPrecondition(f"the host's device node is not of type {kind or 'b, c or p'}", where=host)
            if not complete:
                device.update(type=found, major=os.major(status.st_rdev), minor=os.minor(status.st_rdev))
            mode = stat.S_IMODE(status.st_mode) if mode is None else mode
    if mode is not None:
        device["fileMode"] = mode
    if device["type"] == "p":
        del device["major"], device["minor"]
    return device


def _mounts(spec: JsonDict, edits: list[MountEdit]) -> None:
    """Replace what is mounted at the same places, then sort by depth, so that no mount hides another."""
    for edit in edits:
        mount: JsonDict = {"destination": edit.container_path, "source": edit.host_path, "options": list(edit.options)}
        if edit.type:
            mount["type"] = edit.type
        if any(n["type"] == "user" for n in spec["linux"].get("namespaces", ())):
            mount["options"] += _idmap(edit)
        spec["mounts"] = [m for m in spec["mounts"] if m["destination"] != edit.container_path] + [mount]
    spec["mounts"].sort(key=lambda m: depth(m["destination"]))


def _idmap(edit: MountEdit) -> list[str]:
    """The option that shows a bind mount's owners as they are to a container in a user namespace."""
    options = set(edit.options)
    if options & {"idmap", "ridmap"}:
        return []
    if "rbind" in options:
        return ["ridmap"]
    return ["idmap"] if edit.type == "bind" or "bind" in options else []
