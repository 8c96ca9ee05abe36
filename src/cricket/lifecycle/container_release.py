"""Giving back what a container's process had: the runtime's state, the cgroup, the mounts. By id, idempotent."""

from __future__ import annotations

import asyncio
import os

from cricket.errors import DeadlineExceeded
from cricket.kernel import cgroup_kill, cgroup_read, cgroups, mounts, oom_log
from cricket.kernel.cgroup_paths import Mode
from cricket.kernel.effects import effect
from cricket.lifecycle.parts import Parts
from cricket.monitor import conmon
from cricket.monitor.exits import saw_oom
from cricket.types.container import Container
from cricket.types.stage import stage


async def release(e: Parts, container: Container) -> None:
    """Delete the runtime's container, its cgroup, and unmount everything in its bundle. Raises what failed first."""
    handler = e.handlers.of(container.handler)
    with stage("runtime delete", container.id):
        await handler.runtime.delete(container.id, force=True)
        await _end_monitor(e.layout.bundle(container.id))
    if container.cgroup:
        await kill_cgroup(e, container)
        await asyncio.to_thread(cgroups.remove, e.cgroups, container.cgroup)
        effect("remove cgroup")
    with stage("unmount", container.id):
        # The kernel writes out what is dirty first.
        await asyncio.to_thread(unmount, e, container.id)
    effect("unmount bundle")


async def _end_monitor(bundle: str) -> None:
    """Until it is gone it may write an exit file, which a later start would take for its own."""
    try:
        await conmon.gone(bundle)
    except DeadlineExceeded:
        # It hangs with a runtime, or a client that reads nothing; nobody needs its word any more.
        await conmon.end(bundle)


def unmount(e: Parts, container_id: str) -> None:
    """Unmount the root file system, volumes and id-mapped layers, by their names: no search in the mount table.

    Blocks while the kernel writes out what the container has written.
    """
    bundle = e.layout.bundle(container_id)
    mounts.unmount(e.layout.rootfs(container_id))
    for directory in (f"{bundle}/volumes", f"{bundle}/lowers"):
        try:
            names = os.listdir(directory)
        except FileNotFoundError:
            continue
        for name in names:
            mounts.unmount(f"{directory}/{name}")


def oom_killed(e: Parts, container: Container) -> bool:
    """Whether the kernel has killed a process of the container for lack of memory (`oom_kill`, not `oom`).

    systemd removes a scope with its last process, mostly before we can look. Then the monitor's word counts, and as it
    may have been too late as well, the kernel's log.
    """
    if not container.cgroup or container.boot_id != e.boot_id:
        return False
    if cgroup_read.oom_kills(e.cgroups, container.cgroup) > 0:
        return True
    if cgroups.exists(e.cgroups, container.cgroup):
        return False
    return saw_oom(e.layout.bundle(container.id)) or (
        not _pod_had_none(e, container) and oom_log.killed_in(container.cgroup)
    )


def _pod_had_none(e: Parts, container: Container) -> bool:
    """Whether the pod's cgroup knows of no kill ever: v2 counts there what happens below, and keeps it."""
    pod = container.cgroup.rpartition("/")[0]
    counted = e.cgroups.mode is Mode.V2 and pod != "" and cgroups.exists(e.cgroups, pod)
    return counted and cgroup_read.oom_kills(e.cgroups, pod) == 0


async def kill_cgroup(e: Parts, container: Container) -> None:
    """SIGKILL to every process in the container's cgroup. Idempotent."""
    if container.cgroup:
        await asyncio.to_thread(cgroup_kill.kill_all, e.cgroups, container.cgroup)
