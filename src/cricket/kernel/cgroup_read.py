"""Reading the usage of cgroups on whatever hierarchies the host has."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import msgspec

from cricket.kernel import cgroup_v1, cgroup_v2, proc
from cricket.kernel.cgroup_files import below, pids_below
from cricket.kernel.cgroup_hugetlb import hugetlb
from cricket.kernel.cgroup_paths import Layout, Mode, inner
from cricket.types.stats import Cpu, HugetlbUsage, Io, Memory, Pids


class Reading(msgspec.Struct, frozen=True):
    """What the files of one cgroup said at one time; `cpu.nano_cores` is not filled in, as it takes two readings."""

    cpu: Cpu | None = None
    memory: Memory | None = None
    io: Io | None = None
    pids: Pids | None = None
    hugetlb: tuple[HugetlbUsage, ...] = ()


def read(
    layout: Layout,
    path: str,
    *,
    full: bool = False,
    count: bool = False,
    descriptors: bool = False,
    clock: Callable[[], int] = time.time_ns,
) -> Reading | None:
    """Read cgroup `path`, of a scope what is in it (`inner`); None when it is gone.

    `full` adds what only metrics want, `count` the processes, `descriptors` (with `count`) their open files, which is
    expensive. Blocks for 0.1 ms or so: call it in a thread for more than a few. `clock` gives Unix nanoseconds.
    """
    version = cgroup_v2 if layout.mode is Mode.V2 else cgroup_v1
    now = clock()
    path = inner(layout, path)
    cpu = version.cpu(layout, path, now, full)
    memory = version.memory(layout, path, now, full)
    if cpu is None and memory is None:
        return None
    pids = version.pids(layout, path, now) if count else None
    if pids is not None and descriptors:
        members = processes(layout, path)
        files, sockets = proc.count_fds(members)
        limit = proc.open_files_limit(members[0]) if members else None
        pids = msgspec.structs.replace(pids, file_descriptors=files, sockets=sockets, open_files_limit=limit)
    return Reading(cpu, memory, version.io(layout, path, now, full), pids, hugetlb(layout, path) if full else ())


def processes(layout: Layout, path: str) -> list[int]:
    """The processes of the cgroup and of those below it, in order of pid; empty when it is gone."""
    found: set[int] = set()
    for directory in _process_directories(layout, path):
        found.update(pids_below(directory) or ())
    return sorted(found)


def _process_directories(layout: Layout, path: str) -> Sequence[str]:
    """Where to look for processes. A v1 process is in every hierarchy, unless a runtime died half way: ask three."""
    if layout.mode is Mode.V2:
        return layout.directories(path)
    known = [layout.directory(controller, path) for controller in ("freezer", "pids", "memory")]
    return [directory for directory in known if directory] or layout.directories(path)


def oom_kills(layout: Layout, path: str) -> int:
    """How often the OOM killer killed in this cgroup and those below it; 0 when it is gone."""
    if layout.mode is Mode.V2:
        return cgroup_v2.oom_kills(layout, path) or 0
    directory = layout.directory("memory", path)
    if directory is None:
        return 0
    mount = layout.mounts["memory"]
    paths = [path, *(child.removeprefix(mount) for child in below(directory))]
    return sum(cgroup_v1.oom_kills(layout, each) or 0 for each in paths)
