"""Where cgroups are: the host's hierarchies, and the directory of a cgroup in each of them.

A cgroup is named by its path from the root of the hierarchies ("/kubepods/pod1/abc"), the same with both drivers: with
the systemd driver the path is made of slices and a scope. `cricket.oci.cgroup` makes these paths.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from enum import StrEnum

import msgspec

from cricket.errors import FailedPrecondition
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


def inner(layout: Layout, path: str) -> str:
    """The cgroup that has a container's limits and processes: `path`, or with crun and systemd one in it.

    crun puts the container into a cgroup "container" of its scope, where systemd does not overwrite the limits.
    """
    below = f"{path}/container"
    directory = layout.directory("memory", below)
    return below if directory and path.endswith(".scope") and os.path.isdir(directory) else path


def default_driver() -> CgroupDriver:
    """What cgroup_driver = "auto" means: systemd where systemd is the init (sd_booted(3)), else cgroupfs."""
    return CgroupDriver.SYSTEMD if os.path.isdir("/run/systemd/system") else CgroupDriver.CGROUPFS


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
