"""Reading usage from the unified hierarchy (Documentation/admin-guide/cgroup-v2.rst); its files are hierarchical."""

from __future__ import annotations

from cricket.kernel.cgroup_files import fields, number, pids_below, psi, read
from cricket.kernel.cgroup_paths import UNIFIED, Layout
from cricket.kernel.proc import memory_total
from cricket.types.stats import BlkDevice, Cpu, Io, Memory, Pids


def cpu(layout: Layout, path: str, now: int, full: bool) -> Cpu | None:
    """CPU time. None when the cgroup is gone. `full` costs nothing here."""
    directory = layout.mounts[UNIFIED] + path
    stat = fields(f"{directory}/cpu.stat")
    usage = stat.get(b"usage_usec") if stat else None
    if stat is None or usage is None:
        return None
    return Cpu(
        now,
        usage * 1000,
        user_ns=_nanoseconds(stat.get(b"user_usec")),
        system_ns=_nanoseconds(stat.get(b"system_usec")),
        periods=stat.get(b"nr_periods"),
        throttled_periods=stat.get(b"nr_throttled"),
        throttled_ns=_nanoseconds(stat.get(b"throttled_usec")),
        psi=psi(f"{directory}/cpu.pressure"),
    )


def memory(layout: Layout, path: str, now: int, full: bool) -> Memory | None:
    """Memory; with `full` also peak, failures and OOM kills. None when the cgroup is gone or has no memory controller.

    The limit is this cgroup's own: v2 does not tell the ancestors'.
    """
    directory = layout.mounts[UNIFIED] + path
    usage = number(f"{directory}/memory.current")
    stat = fields(f"{directory}/memory.stat") if usage is not None else None
    if usage is None or stat is None:
        return None
    working_set = max(0, usage - stat.get(b"inactive_file", 0))
    limit = number(f"{directory}/memory.max")
    if limit is not None and limit >= memory_total():
        limit = None
    swap = number(f"{directory}/memory.swap.current")
    swap_limit = number(f"{directory}/memory.swap.max") if swap is not None else None
    events = (fields(f"{directory}/memory.events") or {}) if full else {}
    return Memory(
        now,
        usage,
        working_set,
        stat.get(b"anon", 0),
        available=None if limit is None else max(0, limit - working_set),
        page_faults=stat.get(b"pgfault"),
        major_page_faults=stat.get(b"pgmajfault"),
        cache=stat.get(b"file"),
        mapped_file=stat.get(b"file_mapped"),
        limit=limit,
        kernel=stat.get(b"kernel"),
        swap_usage=swap,
        swap_available=None if swap is None or swap_limit is None else max(0, swap_limit - swap),
        max_usage=number(f"{directory}/memory.peak") if full else None,
        failcnt=events.get(b"max"),
        oom_kills=events.get(b"oom_kill"),
        psi=psi(f"{directory}/memory.pressure"),
    )


def io(layout: Layout, path: str, now: int, full: bool) -> Io | None:
    """I/O pressure; with `full` also the counters of each device. None when the kernel tells neither."""
    directory = layout.mounts[UNIFIED] + path
    pressure = psi(f"{directory}/io.pressure")
    data = read(f"{directory}/io.stat") if full else None
    if pressure is None and data is None:
        return None
    return Io(now, tuple(map(_device, (data or b"").splitlines())), pressure)


def _device(line: bytes) -> BlkDevice:
    """A line "8:0 rbytes=1 wbytes=2 rios=3 wios=4 ..."; a device without I/O has its number alone."""
    name, *words = line.split()
    values = dict(word.partition(b"=")[::2] for word in words)
    read_bytes, write_bytes, read_ios, write_ios = (
        int(values.get(key, 0)) for key in (b"rbytes", b"wbytes", b"rios", b"wios")
    )
    return BlkDevice(name.decode(), read_bytes, write_bytes, read_ios, write_ios)


def pids(layout: Layout, path: str, now: int) -> Pids | None:
    """Processes and threads of the cgroup and those below it. None when the cgroup is gone."""
    directory = layout.mounts[UNIFIED] + path
    found = pids_below(directory)
    if found is None:
        return None
    return Pids(
        now, len(found), threads=number(f"{directory}/pids.current"), max_threads=number(f"{directory}/pids.max")
    )


def oom_kills(layout: Layout, path: str) -> int | None:
    """Kills by the OOM killer in this cgroup and those below it. None when it is gone."""
    return (fields(f"{layout.mounts[UNIFIED]}{path}/memory.events") or {}).get(b"oom_kill")


def _nanoseconds(microseconds: int | None) -> int | None:
    return None if microseconds is None else microseconds * 1000
