"""Mounts of a container: the system's file systems, the sandbox's files, and the volumes of the request."""

from __future__ import annotations

from collections.abc import Iterable

from cricket.oci.check import within
from cricket.oci.inputs import JsonDict, SpecInputs
from cricket.oci.volumes import volume_mount
from cricket.types.security import NamespaceMode

_SAFE = ["nosuid", "noexec", "nodev"]
_TTY_GROUP = 5


def container_mounts(inputs: SpecInputs) -> list[JsonDict]:
    """OCI `mounts`, in the order in which the runtime performs them.

    The system's come first; then the sandbox's files and the volumes, parents before children. A volume replaces what
    the system or the sandbox has at the same place, and makes system mounts below it pointless, so those are dropped.
    """
    volumes = [volume_mount(m, inputs.handler.features) for m in inputs.mounts]
    taken = [v["destination"] for v in volumes]
    result = [m for m in system_mounts(inputs) if not any(within(m["destination"], t) for t in taken)]
    files = [m for m in sandbox_mounts(inputs) if m["destination"] not in taken]
    return result + sorted(files + volumes, key=lambda m: depth(m["destination"]))


def depth(path: str) -> int:
    """Number of components: mounts are sorted by it (stably) so that a parent never hides its child."""
    return sum(1 for part in path.split("/") if part)


def root_propagation(inputs: SpecInputs) -> str:
    """OCI `linux.rootfsPropagation`: what the volumes need, "" for the runtime's default (private)."""
    kinds = {m.mount.propagation.name for m in inputs.mounts}
    if "BIDIRECTIONAL" in kinds:
        return "rshared"
    return "rslave" if "HOST_TO_CONTAINER" in kinds else ""


def system_mounts(inputs: SpecInputs) -> list[JsonDict]:
    """/proc, /dev and below, /sys and /sys/fs/cgroup."""
    return [
        _mount("/proc", "proc", "proc", _SAFE),
        _mount("/dev", "tmpfs", "tmpfs", ["nosuid", "strictatime", "mode=755", "size=65536k"]),
        _devpts(inputs),
        _mount("/dev/mqueue", "mqueue", "mqueue", _SAFE),
        _sysfs(inputs),
        _cgroup(inputs),
    ]


def sandbox_mounts(inputs: SpecInputs) -> list[JsonDict]:
    """The sandbox's /dev/shm and its files in /etc; these are read-only when the root file system is."""
    files = inputs.files
    how = "ro" if inputs.config.security.readonly_rootfs else "rw"
    binds = [
        ("/dev/shm", files.shm, "rw"),
        ("/etc/hosts", files.hosts, how),
        ("/etc/hostname", files.hostname, how),
        ("/etc/resolv.conf", files.resolv_conf, how),
    ]
    return [
        _mount(destination, "bind", source, ["rbind", "rprivate", mode, *_SAFE])
        for destination, source, mode in binds
        if source
    ]


def _mount(destination: str, kind: str, source: str, options: Iterable[str]) -> JsonDict:
    return {"destination": destination, "type": kind, "source": source, "options": list(options)}


def _devpts(inputs: SpecInputs) -> JsonDict:
    options = ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"]
    userns = inputs.config.security.namespaces.userns
    mapped = (
        not inputs.in_userns
        or userns is None
        or any(m.container_id <= _TTY_GROUP < m.container_id + m.length for m in userns.gids)
    )
    if mapped:
        options.append(f"gid={_TTY_GROUP}")
    return _mount("/dev/pts", "devpts", "devpts", options)


def _sysfs(inputs: SpecInputs) -> JsonDict:
    host_network = inputs.config.security.namespaces.network == NamespaceMode.NODE
    if host_network and inputs.in_userns:
        # sysfs shows a network namespace, and only an owner of that may mount it: bind the host's instead.
        how = "rro" if inputs.handler.features.recursive_read_only else "ro"
        return _mount("/sys", "bind", "/sys", ["rbind", how, *_SAFE])
    return _mount("/sys", "sysfs", "sysfs", [*_SAFE, "rw" if inputs.privileged else "ro"])


def _cgroup(inputs: SpecInputs) -> JsonDict:
    writable = inputs.privileged or inputs.handler.cgroup_writable
    options = [*_SAFE, "relatime", "rw" if writable else "ro"]
    if inputs.host.cgroup_version == 2 and inputs.privileged:
        # No cgroup namespace of its own then: the options land on the host's one superblock, so repeat the host's.
        options += inputs.host.cgroup2_flags
    return _mount("/sys/fs/cgroup", "cgroup", "cgroup", options)
