"""Where cgroups are: the host's hierarchies, and the way from an OCI cgroupsPath to a directory in each of them.

A cgroup is named by its path from the root of the hierarchies ("/kubepods/pod1/abc"), the same with both drivers: with
the systemd driver the path is made of slices and a scope.
"""

from __future__ import annotations

import os
import posixpath
from collections.abc import Mapping
from enum import StrEnum

import msgspec

from cricket.errors import FailedPrecondition, InvalidArgument
from cricket.kernel import mountinfo
from cricket.types.node import CgroupDriver

ROOT = "/sys/fs/cgroup"
UNIFIED = ""
_V1_CONTROLLERS = frozenset(
    ("cpu", "cpuacct", "cpuset", "memory", "devices", "freezer", "blkio", "pids")
    + ("hugetlb", "net_cls", "net_prio", "perf_event", "rdma", "misc")
)


class Mode(StrEnum):
    """v1: no unified hierarchy; hybrid: v1 controllers and a unified hierarchy beside them; v2: unified only."""

    V1 = "v1"
    HYBRID = "hybrid"
    V2 = "v2"


class Layout(msgspec.Struct, frozen=True):
    """The hierarchies of a host: mount point by controller; UNIFIED ("") is the v2 one, "name=systemd" a named one."""

    mode: Mode
    mounts: dict[str, str]

    def directory(self, controller: str, path: str) -> str | None:
        """The directory of cgroup `path` in the controller's hierarchy; None when the host has none."""
        mount = self.mounts.get(UNIFIED if self.mode is Mode.V2 else controller)
        return None if mount is None else mount + path

    def directories(self, path: str) -> list[str]:
        """The directory of cgroup `path` in every hierarchy, each once."""
        return list(dict.fromkeys(mount + path for mount in self.mounts.values()))


def detect(root: str = ROOT, mountinfo_path: str = mountinfo.SELF) -> Layout:
    """The host's layout. Raises FailedPrecondition when no cgroup hierarchy is mounted below `root`."""
    mounts: dict[str, str] = {}
    for entry in mountinfo.mounts(root, fstypes=("cgroup", "cgroup2"), path=mountinfo_path):
        if entry.fstype == "cgroup2":
            mounts.setdefault(UNIFIED, entry.point)
            continue
        for option in entry.super_options:
            if option in _V1_CONTROLLERS or option.startswith("name="):
                mounts.setdefault(option, entry.point)
    if not mounts:
        raise FailedPrecondition("no cgroup hierarchy is mounted", where=root, todo="Mount cgroup2 there")
    if not any(name in _V1_CONTROLLERS for name in mounts):
        return Layout(Mode.V2, {UNIFIED: mounts[UNIFIED]} if UNIFIED in mounts else mounts)
    return Layout(Mode.HYBRID if UNIFIED in mounts else Mode.V1, mounts)


def default_driver() -> CgroupDriver:
    """What cgroup_driver = "auto" means: systemd where systemd is the init (sd_booted(3)), else cgroupfs."""
    return CgroupDriver.SYSTEMD if os.path.isdir("/run/systemd/system") else CgroupDriver.CGROUPFS


def parent_path(driver: CgroupDriver, cgroup_parent: str) -> str:
    """The cgroup of a pod from CRI `cgroup_parent`; "" stays "" (the pod has no cgroup of its own).

    With the systemd driver the kubelet sends a path whose last element is the slice. Raises InvalidArgument.
    """
    if not cgroup_parent:
        return ""
    if driver is CgroupDriver.SYSTEMD:
        return expand_slice(posixpath.basename(cgroup_parent.rstrip("/")))
    return _clean(cgroup_parent)


def container_path(driver: CgroupDriver, cgroup_parent: str, prefix: str, container_id: str) -> tuple[str, str]:
    """The OCI `linux.cgroupsPath` of a container, and the cgroup that the runtime makes of it.

    Without a parent the cgroup is below /cricket (cgroupfs) or system.slice. Raises InvalidArgument.
    """
    if driver is CgroupDriver.SYSTEMD:
        parent = posixpath.basename(cgroup_parent.rstrip("/")) or "system.slice"
        oci = f"{parent}:{prefix}:{container_id}"
    else:
        oci = f"{_clean(cgroup_parent or f'/{prefix}')}/{container_id}"
    return oci, expand(driver, oci)


def expand(driver: CgroupDriver, cgroups_path: str) -> str:
    """The cgroup that a runtime makes of an OCI cgroupsPath (systemd: "slice:prefix:name"). Raises InvalidArgument."""
    if driver is not CgroupDriver.SYSTEMD:
        return _clean(cgroups_path)
    parts = cgroups_path.split(":")
    if len(parts) != 3 or not parts[2] or "/" in parts[1] + parts[2]:
        raise InvalidArgument("a cgroup path for systemd should be slice:prefix:name", where=cgroups_path)
    slice_, prefix, name = parts
    scope = name if name.endswith(".slice") else f"{prefix}-{name}.scope" if prefix else f"{name}.scope"
    return f"{expand_slice(slice_ or 'system.slice')}/{scope}"


def expand_slice(name: str) -> str:
    """The cgroup of a slice (systemd.slice(5)): "a-b.slice" is /a.slice/a-b.slice, "-.slice" the root, "".

    Raises InvalidArgument.
    """
    stem = name.removesuffix(".slice")
    if stem == name or "/" in name or not stem:
        raise InvalidArgument("not the name of a slice", where=name, todo="With the systemd driver it ends in .slice")
    if stem == "-":
        return ""
    parts = stem.split("-")
    if not all(parts):
        raise InvalidArgument("a slice's name must not begin or end with a dash or hold two in a row", where=name)
    return "".join(f"/{'-'.join(parts[: count + 1])}.slice" for count in range(len(parts)))


def of_process(pid: int, proc: str = "/proc") -> Mapping[str, str] | None:
    """The cgroup of a process by controller (UNIFIED: v2), as its /proc file says; None when it has gone."""
    try:
        with open(f"{proc}/{pid}/cgroup", encoding="utf-8", errors="surrogateescape") as f:
            lines = f.read().splitlines()
    except OSError:
        return None
    found = {}
    for line in lines:
        _, controllers, path = line.split(":", 2)
        for controller in controllers.split(","):
            found[controller] = "" if path == "/" else path
    return found


def _clean(path: str) -> str:
    if "\0" in path or ".." in path.split("/"):
        raise InvalidArgument("a cgroup path must not climb", where=path)
    clean = posixpath.normpath("/" + path.lstrip("/"))
    return "" if clean == "/" else clean
