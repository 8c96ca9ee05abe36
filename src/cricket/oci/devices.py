"""Devices of a container and the rules of its device cgroup."""

from __future__ import annotations

from collections.abc import Iterable

from cricket.oci.inputs import DeviceNode, JsonDict, SpecInputs

_ALL = "rwm"


def container_devices(inputs: SpecInputs) -> list[JsonDict]:
    """OCI `linux.devices`: the request's, and for a privileged container the host's; the request's win at a path."""
    return [_device(d) for d in _nodes(inputs).values() if not _bound(d, inputs)]


def device_mounts(inputs: SpecInputs) -> list[JsonDict]:
    """Bind mounts for renamed devices in a user namespace.

    mknod fails there, so runtimes bind the host's node, and they look for it at the container's path.
    """
    return [
        {
            "destination": d.path,
            "type": "bind",
            "source": d.host_path,
            "options": ["bind", "rprivate", "nosuid", "noexec"],
        }
        for d in _nodes(inputs).values()
        if _bound(d, inputs)
    ]


def device_rules(inputs: SpecInputs) -> list[JsonDict]:
    """OCI `linux.resources.devices`: nothing but the request's (runtimes add /dev/null and its kin), or all."""
    handler = inputs.handler
    if inputs.privileged and (
        not handler.privileged_without_host_devices or handler.privileged_without_host_devices_all_devices_allowed
    ):
        return [{"allow": True, "access": _ALL}]
    return [{"allow": False, "access": _ALL}, *(rule(d) for d in inputs.devices if d.type in ("b", "c"))]


def rule(device: DeviceNode) -> JsonDict:
    """The rule that allows one device."""
    return {
        "allow": True,
        "type": device.type,
        "major": device.major,
        "minor": device.minor,
        "access": device.permissions,
    }


def _nodes(inputs: SpecInputs) -> dict[str, DeviceNode]:
    with_host = inputs.privileged and not inputs.handler.privileged_without_host_devices
    return _by_path([*(inputs.host_devices if with_host else ()), *inputs.devices])


def _by_path(devices: Iterable[DeviceNode]) -> dict[str, DeviceNode]:
    return {d.path: d for d in devices}


def _bound(device: DeviceNode, inputs: SpecInputs) -> bool:
    return inputs.in_userns and device.path != device.host_path


def _device(device: DeviceNode) -> JsonDict:
    result: JsonDict = {"path": device.path, "type": device.type, "fileMode": device.mode}
    if device.type != "p":
        result["major"], result["minor"] = device.major, device.minor
    result["uid"], result["gid"] = device.uid, device.gid
    return result
