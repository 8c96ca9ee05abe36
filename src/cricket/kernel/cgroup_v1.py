"""Reading usage from v1 controllers (Documentation/admin-guide/cgroup-v1); hierarchical where there is a choice."""

from __future__ import annotations

import os

from cricket.kernel.cgroup_files import fields, number, pids_below, read
from cricket.kernel.cgroup_paths import Layout
from cricket.kernel.proc import memory_total
from cricket.types.stats import BlkDevice, Cpu, Io, Memory, Pids

_TICK_NS = 1_000_000_000 // os.sysconf("SC_CLK_TCK")


def cpu(layout: Layout, path: str, now: int, full: bool) -> Cpu | None:
    """CPU time; with `full` also user and system time and throttling. None when the cgroup is gone."""
    account = layout.directory("cpuacct", path)
    usage = number(f"{account}/cpuacct.usage") if account else None
    if usage is None:
        return None
    if not full:
        return Cpu(now, usage)
    split = fields(f"{account}/cpuacct.stat") or {}
    quota = layout.directory("cpu", path)
    stat = (fields(f"{quota}/cpu.stat") if quota else None) or {}
    user, system = split.get(b"user"), split.get(b"system")
    return Cpu(
        now,
        usage,
        user_ns=None if user is None else user * _TICK_NS,
        system_ns=None if system is None else system * _TICK_NS,
        periods=stat.get(b"nr_periods"),
        throttled_periods=stat.get(b"nr_throttled"),
        throttled_ns=stat.get(b"throttled_time"),
    )


def memory(layout: Layout, path: str, now: int, full: bool) -> Memory | None:
    """Memory; with `full` also peak, failures, kernel memory and OOM kills. None when the cgroup is gone.

    The limit is the hierarchical one: the smallest of this cgroup's and its ancestors'.
    """
    directory = layout.directory("memory", path)
    usage = number(f"{directory}/memory.usage_in_bytes") if directory else None
    stat = fields(f"{directory}/memory.stat") if usage is not None else None
    if usage is None or stat is None:
        return None
    total = memory_total()
    working_set = max(0, usage - stat.get(b"total_inactive_file", 0))
    raw_limit = stat.get(b"hierarchical_memory_limit", total)
    limit = raw_limit if raw_limit < total else None
    swap = stat.get(b"total_swap")
    raw_swap_limit = stat.get(b"hierarchical_memsw_limit", 0)
    swap_limit = raw_swap_limit - raw_limit if limit is not None and 0 < raw_swap_limit < 1 << 62 else None
    events = (fields(f"{directory}/memory.oom_control") or {}) if full else {}
    return Memory(
        now,
        usage,
        working_set,
        stat.get(b"total_rss", 0),
        available=None if limit is None else max(0, limit - working_set),
        page_faults=stat.get(b"total_pgfault"),
        major_page_faults=stat.get(b"total_pgmajfault"),
        cache=stat.get(b"total_cache"),
        mapped_file=stat.get(b"total_mapped_file"),
        limit=limit,
        swap_usage=swap,
        swap_available=None if swap is None or swap_limit is None else max(0, swap_limit - swap),
        max_usage=number(f"{directory}/memory.max_usage_in_bytes") if full else None,
        failcnt=number(f"{directory}/memory.failcnt") if full else None,
        kernel=number(f"{directory}/memory.kmem.usage_in_bytes") if full else None,
        oom_kills=events.get(b"oom_kill"),
    )


def io(layout: Layout, path: str, now: int, full: bool) -> Io | None:
    """Block I/O; v1 has nothing to say without `full`. None when there is no blkio controller or the cgroup is gone."""
    directory = layout.directory("blkio", path)
    if not full or directory is None:
        return None
    sizes = _blkio(directory, "io_service_bytes")
    counts = _blkio(directory, "io_serviced")
    if sizes is None or counts is None:
        return None
    devices = [
        BlkDevice(
            device.decode(),
            sizes.get((device, b"Read"), 0),
            sizes.get((device, b"Write"), 0),
            counts.get((device, b"Read"), 0),
            counts.get((device, b"Write"), 0),
        )
        for device in dict.fromkeys(device for device, _ in [*sizes, *counts])
    ]
    return Io(now, tuple(devices))


def _blkio(directory: str, name: str) -> dict[tuple[bytes, bytes], int] | None:
    """The lines "major:minor Operation number" of a statistic of the throttling layer."""
    data = read(f"{directory}/blkio.throttle.{name}_recursive")
    if data is None:
        data = read(f"{directory}/blkio.throttle.{name}")
    if data is None:
        return None
    rows = (line.split() for line in data.splitlines())
    return {(row[0], row[1]): int(row[2]) for row in rows if len(row) == 3}


def pids(layout: Layout, path: str, now: int) -> Pids | None:
    """Processes and threads of the cgroup and those below it. None when the cgroup is gone."""
    for controller in ("pids", "memory", "cpuacct", "freezer"):
        directory = layout.directory(controller, path)
        found = pids_below(directory) if directory else None
        if found is not None:
            break
    else:
        return None
    own = layout.directory("pids", path)
    return Pids(
        now,
        len(found),
        threads=number(f"{own}/pids.current") if own else None,
        max_threads=number(f"{own}/pids.max") if own else None,
    )


def oom_kills(layout: Layout, path: str) -> int | None:
    """Kills by the OOM killer in this cgroup. v1 does not add up those of cgroups below. None when it is gone."""
    directory = layout.directory("memory", path)
    return (fields(f"{directory}/memory.oom_control") or {}).get(b"oom_kill") if directory else None
