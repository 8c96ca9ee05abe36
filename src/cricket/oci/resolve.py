"""What the host has behind a request's paths: real sources of volumes, device nodes. All of it blocks a little."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator, Sequence

from cricket.errors import FailedPrecondition, InvalidArgument, map_errors
from cricket.oci import check, mountinfo
from cricket.oci.inputs import DeviceNode, ResolvedMount
from cricket.types.container import Propagation, VolumeMount
from cricket.types.resources import Device

_MAX_DEVICES = 4096
# What is below these is made by the kernel or by us for each container; the others are left-overs of LXC and udev.
_SKIPPED_DIRS = frozenset(["pts", "shm", "fd", "mqueue", ".lxc", ".lxd-mounts", ".udev"])
_SKIPPED_NODES = frozenset(["console"])


def resolve_mounts(
    mounts: Sequence[VolumeMount], *, image_source: Callable[[VolumeMount], str] | None = None
) -> tuple[ResolvedMount, ...]:
    """Follow symlinks of host paths, make those that are missing (as directories), check propagation.

    `image_source` tells where the image of an image volume is mounted. Raises InvalidArgument, FailedPrecondition.
    """
    result = []
    table: list[mountinfo.HostMount] | None = None
    for mount in mounts:
        check.absolute_path(mount.container_path, "mounts.container_path")
        if mount.image:
            if mount.host_path or image_source is None:
                raise InvalidArgument("host_path and image exclude each other", where=mount.container_path)
            source = image_source(mount)
        else:
            source = _host_source(mount)
        if mount.propagation != Propagation.PRIVATE:
            if table is None:
                with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape", newline="\n") as f:
                    table = mountinfo.parse(f.read())
            mountinfo.check_propagation(source, mount.propagation, table)
        result.append(ResolvedMount(mount=mount, source=source))
    return tuple(result)


def _host_source(mount: VolumeMount) -> str:
    check.text(mount.host_path, "mounts.host_path")
    if not mount.host_path.startswith("/"):
        raise InvalidArgument(f"{mount.host_path[:200]!r} is not absolute", where="mounts.host_path")
    with map_errors(OSError, FailedPrecondition, "cannot use a host path", where=mount.host_path):
        real = os.path.realpath(mount.host_path)
        os.makedirs(real, 0o755, exist_ok=True) if not os.path.lexists(real) else os.stat(real)
    return real


def resolve_devices(devices: Sequence[Device]) -> tuple[DeviceNode, ...]:
    """The nodes behind a request's devices; a directory stands for every node below it.

    Raises InvalidArgument for what is no device, FailedPrecondition for what is missing.
    """
    nodes: list[DeviceNode] = []
    for device in devices:
        permissions = device.permissions or "rwm"
        if set(permissions) - set("rwm"):
            raise InvalidArgument(f"{permissions[:20]!r} is no subset of rwm", where="devices.permissions")
        host = check.absolute_path(device.host_path, "devices.host_path")
        target = check.absolute_path(device.container_path or host, "devices.container_path")
        with map_errors(OSError, FailedPrecondition, "cannot use a device", where=host):
            real = os.path.realpath(host)
            status = os.stat(real)
        if stat.S_ISDIR(status.st_mode):
            nodes.extend(_below(real, target, permissions))
        else:
            node = _node(real, target, status, permissions)
            if node is None:
                raise InvalidArgument("this is no device", where=host)
            nodes.append(node)
        if len(nodes) > _MAX_DEVICES:
            raise InvalidArgument(f"there are more than {_MAX_DEVICES} devices", where=host)
    return tuple(nodes)


def host_devices(directory: str = "/dev") -> tuple[DeviceNode, ...]:
    """Every device of the host, for privileged containers."""
    return tuple(n for n in _below(directory, directory, "rwm") if n.type != "p")


def _below(directory: str, target: str, permissions: str) -> Iterator[DeviceNode]:
    """Nodes below a directory, following no symlink. What vanishes meanwhile is left out."""
    try:
        with os.scandir(directory) as unsorted:
            entries = sorted(unsorted, key=lambda e: e.name)
    except OSError:
        return
    for entry in entries:
        path = f"{target.rstrip('/')}/{entry.name}"
        try:
            status = entry.stat(follow_symlinks=False)
        except OSError:
            continue
        if stat.S_ISDIR(status.st_mode):
            if entry.name not in _SKIPPED_DIRS:
                yield from _below(entry.path, path, permissions)
        elif entry.name not in _SKIPPED_NODES:
            node = _node(entry.path, path, status, permissions)
            if node is not None:
                yield node


def _node(host_path: str, path: str, status: os.stat_result, permissions: str) -> DeviceNode | None:
    kinds = {stat.S_IFCHR: "c", stat.S_IFBLK: "b", stat.S_IFIFO: "p"}
    kind = kinds.get(stat.S_IFMT(status.st_mode))
    if kind is None:
        return None
    return DeviceNode(
        path=path,
        host_path=host_path,
        type=kind,
        major=os.major(status.st_rdev),
        minor=os.minor(status.st_rdev),
        mode=stat.S_IMODE(status.st_mode),
        uid=status.st_uid,
        gid=status.st_gid,
        permissions=permissions,
    )
