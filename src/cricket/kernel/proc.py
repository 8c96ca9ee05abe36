"""Facts from /proc: the boot, the memory of the machine, and processes named by (pid, start time)."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterable

from cricket.errors import Internal, map_errors

PROC = "/proc"
# Fields of /proc/<pid>/stat after the command's closing parenthesis; starttime is field 22 of proc_pid_stat(5).
_START_TIME = 22 - 3


def boot_id() -> str:
    """The id of this boot of the kernel. Raises Internal."""
    path = f"{PROC}/sys/kernel/random/boot_id"
    with map_errors(OSError, Internal, "cannot read the boot id", where=path), open(path) as f:
        return f.read().strip()


@functools.cache
def memory_total() -> int:
    """Bytes of physical memory. Raises Internal."""
    path = f"{PROC}/meminfo"
    errors = (OSError, ValueError, StopIteration)
    with map_errors(errors, Internal, "cannot read the memory's size", where=path), open(path) as f:
        return int(next(line for line in f if line.startswith("MemTotal:")).split()[1]) * 1024


def start_time(pid: int) -> int | None:
    """When the process started, in clock ticks after the boot; None when there is no such process.

    A pid and its start time name a process for the whole boot, which a pid alone does not.
    """
    data = _read(f"{PROC}/{pid}/stat")
    # The command stands in parentheses and may hold any character, a parenthesis too.
    fields = data.rpartition(b")")[2].split() if data else []
    return int(fields[_START_TIME]) if len(fields) > _START_TIME else None


def is_alive(pid: int, started: int) -> bool:
    """Whether the process that had this pid and start time still runs; a zombie does not. 0 as start time: any."""
    data = _read(f"{PROC}/{pid}/stat") if pid > 0 else None
    fields = data.rpartition(b")")[2].split() if data else []
    if len(fields) <= _START_TIME or fields[0] in (b"Z", b"X"):
        return False
    return started in (0, int(fields[_START_TIME]))


def alive(processes: Iterable[tuple[int, int]]) -> list[bool]:
    """`is_alive` for many (pid, start time) pairs."""
    return [is_alive(pid, started) for pid, started in processes]


def belongs(pid: int, object_id: str) -> bool:
    """Whether the process is in a cgroup that bears the id: pids are used again, cgroups of containers are not."""
    return object_id.encode() in (_read(f"{PROC}/{pid}/cgroup") or b"")


def descendants(pid: int) -> list[int]:
    """The children of a process, their children and so on, nearest first; empty when it is gone.

    Who has lost its parent is its child no more, and who forks meanwhile may be missed.
    """
    found: list[int] = []
    asked = [pid]
    while asked:
        asked = [child for parent in asked for child in _children(parent)]
        found += asked
    return found


def _children(pid: int) -> list[int]:
    """Children of all threads, as the kernel lists them (CONFIG_PROC_CHILDREN)."""
    try:
        threads = os.listdir(f"{PROC}/{pid}/task")
    except OSError:
        return []
    return [
        int(child) for thread in threads for child in (_read(f"{PROC}/{pid}/task/{thread}/children") or b"").split()
    ]


def count_fds(pids: Iterable[int]) -> tuple[int, int]:
    """Open file descriptors and, among them, sockets of the processes; what vanishes meanwhile counts nothing.

    Expensive: one readlink for each descriptor.
    """
    files = sockets = 0
    for pid in pids:
        directory = f"{PROC}/{pid}/fd"
        try:
            names = os.listdir(directory)
        except OSError:
            continue
        files += len(names)
        for name in names:
            try:
                sockets += os.readlink(f"{directory}/{name}").startswith("socket:")
            except OSError:
                files -= 1
    return files, sockets


def open_files_limit(pid: int) -> int | None:
    """The soft RLIMIT_NOFILE of a process; None when it is gone or has none."""
    for line in (_read(f"{PROC}/{pid}/limits") or b"").splitlines():
        if line.startswith(b"Max open files"):
            soft = line.split()[3]
            return int(soft) if soft.isdigit() else None
    return None


def _read(path: str) -> bytes | None:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        return os.read(fd, 16384)
    except OSError:
        return None
    finally:
        os.close(fd)
