"""Making, finding and removing cgroups. Limits of containers are the OCI runtime's business, not ours."""

from __future__ import annotations

import contextlib
import errno
import os
import time

from cricket.errors import Internal, Unavailable, map_errors
from cricket.kernel.cgroup_files import below, read
from cricket.kernel.cgroup_paths import UNIFIED, Layout, Mode
from cricket.types.node import CgroupDriver

_FIRST_PAUSE, _LONGEST_PAUSE = 0.001, 0.1


def exists(layout: Layout, path: str) -> bool:
    """Whether the cgroup is there in at least one hierarchy."""
    return any(os.path.isdir(directory) for directory in layout.directories(path))


def ensure(layout: Layout, driver: CgroupDriver, path: str) -> bool:
    """Make the cgroup of a pod, with its parents, in every hierarchy; True when it was not there. Idempotent.

    With the systemd driver nothing is done: systemd makes a slice when the first scope in it starts. Raises Internal.
    """
    if driver is CgroupDriver.SYSTEMD or not path:
        return False
    made = False
    for directory in layout.directories(path):
        if not os.path.isdir(directory):
            with map_errors(OSError, Internal, "cannot make a cgroup", where=directory):
                os.makedirs(directory, exist_ok=True)
            made = True
    if layout.mode is Mode.V2:
        _delegate(layout.mounts[UNIFIED], path)
    elif "cpuset" in layout.mounts:
        _inherit_cpuset(layout.mounts["cpuset"], path)
    return made


def remove(layout: Layout, path: str, timeout: float = 1.0) -> None:
    """Remove the cgroup and those below it from every hierarchy. Idempotent; the root is never touched.

    The kernel may call a cgroup busy for a moment after its last process has ended: blocks up to `timeout` seconds,
    so call it in a thread. Raises Unavailable when processes are still in it.
    """
    if not path:
        return
    deadline = time.monotonic() + timeout
    for directory in layout.directories(path):
        _remove_tree(directory, deadline)


def _remove_tree(directory: str, deadline: float) -> None:
    pause = _FIRST_PAUSE
    while True:
        try:
            for each in [*below(directory), directory]:
                with contextlib.suppress(FileNotFoundError):
                    os.rmdir(each)
        except OSError as e:
            # ENOTEMPTY: somebody made a child between the listing and the removal.
            if e.errno not in (errno.EBUSY, errno.ENOTEMPTY) or time.monotonic() >= deadline:
                raise Unavailable("cannot remove a cgroup", where=directory, todo="Processes may still be in it") from e
            time.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)
        else:
            return


def _delegate(mount: str, path: str) -> None:
    """v2: give every available controller to the cgroups on the way (cgroup.subtree_control); what can't be is left."""
    at = mount
    for name in path.strip("/").split("/"):
        for controller in (read(at + "/cgroup.controllers") or b"").decode().split():
            with contextlib.suppress(OSError), open(at + "/cgroup.subtree_control", "w") as f:
                f.write("+" + controller)
        at += "/" + name


def _inherit_cpuset(mount: str, path: str) -> None:
    """v1: an empty cpuset takes no processes, so copy the parent's from the top down."""
    at = mount
    for name in path.strip("/").split("/"):
        parent, at = at, f"{at}/{name}"
        for file in ("cpuset.cpus", "cpuset.mems"):
            if not (read(f"{at}/{file}") or b"").strip():
                with (
                    map_errors(OSError, Internal, "cannot set the cpuset of a cgroup", where=at),
                    open(f"{at}/{file}", "wb") as f,
                ):
                    f.write(read(f"{parent}/{file}") or b"")
