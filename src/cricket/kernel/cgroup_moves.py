"""Getting the kernel ready to move a process into a cgroup, before a runtime asks for it.

The first move after a while waits until every CPU has passed through the scheduler (the writer's side of a percpu
rwsem, an RCU grace period: 5 to 20 ms); those that follow soon do not. A runtime makes such a move in the middle of
`create` and of `exec`, and nothing else can be done meanwhile. So the daemon moves itself to where it is, in a thread,
while the monitor and the runtime are being loaded. That changes nothing, whatever the kernel makes of it.
"""

from __future__ import annotations

import asyncio
import os

from cricket.kernel.cgroup_paths import UNIFIED, Layout


class Moves:
    """Prepares moves in the hierarchies of a layout; one preparation at a time is enough for all."""

    def __init__(self, layout: Layout, proc: str = "/proc/self/cgroup") -> None:
        # They share one lock.
        self._controller = UNIFIED if UNIFIED in layout.mounts else next(iter(layout.mounts))
        self._mount, self._proc = layout.mounts[self._controller], proc
        self._seen, self._file = "", ""
        self._running = self._wanted = False

    def soon(self) -> None:
        """Something will be moved in a few milliseconds. Never waits, never fails; saying it again prolongs it."""
        self._wanted = True
        if not self._running:
            self._running = True
            asyncio.get_running_loop().run_in_executor(None, self._move)

    def _move(self) -> None:
        try:
            while self._wanted:
                self._wanted = False
                if path := self._own():
                    with open(path, "wb", buffering=0) as f:
                        f.write(b"0")
        except OSError:
            return  # read-only in a container, or no longer there: then moves take their time
        finally:
            self._running = False

    def _own(self) -> str:
        """cgroup.procs of our own cgroup; "" when it cannot be found, as where a part of a hierarchy is mounted."""
        with open(self._proc, encoding="utf-8", errors="surrogateescape") as f:
            seen = f.read()
        if seen != self._seen:
            self._seen, self._file = seen, ""
            for _, controllers, path in (line.split(":", 2) for line in seen.splitlines()):
                if self._controller in controllers.split(","):
                    file = f"{self._mount}{path.rstrip('/')}/cgroup.procs"
                    with open(file, encoding="ascii") as f:
                        self._file = file if f"{os.getpid()}\n" in f else ""
        return self._file
