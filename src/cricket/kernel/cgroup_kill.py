"""Ending every process of a cgroup and of those below it, even while they fork."""

from __future__ import annotations

import contextlib
import os
import signal
import time

from cricket.errors import DeadlineExceeded
from cricket.kernel.cgroup_freeze import freeze, thaw
from cricket.kernel.cgroup_paths import UNIFIED, Layout, Mode
from cricket.kernel.cgroup_read import processes

_FIRST_PAUSE, _LONGEST_PAUSE = 0.001, 0.05
# A v1 freezer that can't freeze (a process in an uninterruptible wait) must not take the whole time.
_FREEZE_SECONDS = 0.2


def kill_all(layout: Layout, path: str, timeout: float = 5.0) -> None:
    """SIGKILL all processes of the cgroup and those below it, and wait until they are gone. Idempotent.

    A cgroup that is missing or empty is no error. Blocks up to `timeout` seconds: call it in a thread. Raises
    DeadlineExceeded, naming some of the processes, when some remain; zombies do not count.
    """
    deadline = time.monotonic() + timeout
    pause = _FIRST_PAUSE
    while True:
        left = processes(layout, path)
        if not left:
            return
        if time.monotonic() >= deadline:
            some = ", ".join(map(str, left[:10]))
            raise DeadlineExceeded(
                "processes survive SIGKILL",
                where=f"{path}: {some}",
                todo="They wait in the kernel, perhaps for a disk or a network file system",
            )
        if not _kill_by_file(layout, path):
            _kill_frozen(layout, path)
        time.sleep(pause)
        pause = min(2 * pause, _LONGEST_PAUSE)


def _kill_by_file(layout: Layout, path: str) -> bool:
    """cgroup.kill (v2, Linux 5.14) kills the whole tree at once, forks included."""
    if layout.mode is not Mode.V2:
        return False
    try:
        with open(f"{layout.mounts[UNIFIED]}{path}/cgroup.kill", "w") as f:
            f.write("1")
    except OSError:
        return False
    return True


def _kill_frozen(layout: Layout, path: str) -> None:
    """Freeze, so that nobody forks, signal everybody, and thaw: a frozen v1 process dies only when it is thawed."""
    frozen = freeze(layout, path, _FREEZE_SECONDS)
    try:
        _signal_all(layout, path)
    finally:
        if frozen is not None:
            thaw(layout, path)


def _signal_all(layout: Layout, path: str) -> None:
    """Hold each process by a pidfd, look again who is in the cgroup, and signal those: a reused pid is never hit."""
    held: dict[int, int] = {}
    try:
        for pid in processes(layout, path)[:4096]:
            with contextlib.suppress(OSError):
                held[pid] = os.pidfd_open(pid)
        for pid in processes(layout, path):
            if pid in held:
                with contextlib.suppress(ProcessLookupError):
                    signal.pidfd_send_signal(held[pid], signal.SIGKILL)
    finally:
        for fd in held.values():
            os.close(fd)
