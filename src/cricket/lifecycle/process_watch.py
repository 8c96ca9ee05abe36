"""Who runs and who has exited: a pidfd for each first process, and the exit codes that the monitors report.

The pidfd tells that a process is gone even when its monitor was killed; the exit file tells the code. An exit is
reported once: with the code, or, when its monitor has ended (or hangs) and there is no file, without.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import time
from collections.abc import Callable

from cricket.errors import ResourceExhausted

log = logging.getLogger(__name__)
UNKNOWN_EXIT = 255
# Seconds that a monitor has to write the exit file: it first drains and writes the container's output.
_PATIENCE, _PAUSE = 60.0, 0.05

ExitHandler = Callable[[str, int, int, str], None]


class _Watched:
    def __init__(self, pid: int, pidfd: int) -> None:
        self.pid, self.pidfd = pid, pidfd
        self.exited = asyncio.Event()
        self.timer: asyncio.TimerHandle | None = None
        self.gone_at = 0.0


class ProcessWatch:
    """Watches the first processes of containers and of sandbox inits, by object id."""

    def __init__(self) -> None:
        self._watched: dict[str, _Watched] = {}
        self.on_exit: ExitHandler = lambda _id, _code, _when, _message: None
        self.read_exit: Callable[[str], tuple[int, int] | None] = lambda _id: None
        self.monitor_alive: Callable[[str], bool] = lambda _id: False

    def add(self, object_id: str, pid: int) -> bool:
        """Watch `pid`; False when there is no such process any more (then its exit is reported at once)."""
        self.forget(object_id)
        try:
            pidfd = os.pidfd_open(pid)
        except ProcessLookupError:
            self.lost(object_id, pid)
            return False
        except OSError as error:
            # The exit file tells of its end, too, and a signal tries again.
            log.error("process %d of %s cannot be watched: %s", pid, object_id, error.strerror)
            self._watched[object_id] = _Watched(pid, -1)
            return True
        self._watched[object_id] = _Watched(pid, pidfd)
        asyncio.get_running_loop().add_reader(pidfd, self._gone, object_id)
        return True

    def lost(self, object_id: str, pid: int) -> None:
        """The process is gone: report its exit, as soon as its monitor has told the code or has ended."""
        self.forget(object_id)
        self._watched[object_id] = _Watched(pid, -1)
        self._gone(object_id)

    def exit_file(self, object_id: str, code: int, when: int) -> None:
        """An exit file has appeared (callback of ExitWatch)."""
        self._report(object_id, code, when, "")

    def _gone(self, object_id: str) -> None:
        watched = self._watched[object_id]
        self._close(watched)
        watched.gone_at = asyncio.get_running_loop().time()
        self._look(object_id)

    def _look(self, object_id: str) -> None:
        """Look for the exit code, again and again while a monitor is about to write it."""
        watched, loop = self._watched[object_id], asyncio.get_running_loop()
        # In this order: one that has ended by now has written what it will ever write.
        coming = self.monitor_alive(object_id) and loop.time() - watched.gone_at < _PATIENCE
        found = self.read_exit(object_id)
        if found is not None:
            self._report(object_id, *found, "")
        elif coming:
            watched.timer = loop.call_later(_PAUSE, self._look, object_id)
        else:
            message = "the process is gone and its monitor told no exit code"
            self._report(object_id, UNKNOWN_EXIT, time.time_ns(), message)

    def _report(self, object_id: str, code: int, when: int, message: str) -> None:
        watched = self._watched.get(object_id)
        if watched is not None:
            if watched.timer is not None:
                watched.timer.cancel()
            self._close(watched)
            watched.gone_at = watched.gone_at or asyncio.get_running_loop().time()
        self.on_exit(object_id, code, when, message)

    @staticmethod
    def _close(watched: _Watched) -> None:
        if watched.pidfd >= 0:
            asyncio.get_running_loop().remove_reader(watched.pidfd)
            os.close(watched.pidfd)
            watched.pidfd = -1

    def signal(self, object_id: str, number: int) -> None:
        """Send a signal to the process; nothing happens when it is gone. Raises ResourceExhausted."""
        watched = self._watched.get(object_id)
        if watched is None or watched.gone_at:
            return
        with contextlib.suppress(ProcessLookupError):
            if watched.pidfd < 0 and self.read_exit(object_id) is None:
                watched.pidfd = _open(watched.pid, object_id)
                asyncio.get_running_loop().add_reader(watched.pidfd, self._gone, object_id)
            if watched.pidfd >= 0:
                signal.pidfd_send_signal(watched.pidfd, number)

    def settled(self, object_id: str) -> None:
        """The exit is recorded: wake those who wait for it, and stop watching."""
        watched = self._watched.get(object_id)
        if watched is not None:
            watched.exited.set()
        self.forget(object_id)

    async def wait(self, object_id: str, timeout: float | None) -> bool:
        """Wait until the exit is recorded, at most `timeout` seconds; whether it is. True when not watched at all."""
        watched = self._watched.get(object_id)
        if watched is None:
            return True
        try:
            await asyncio.wait_for(watched.exited.wait(), timeout)
        except TimeoutError:
            return False
        return True

    def forget(self, object_id: str) -> None:
        """Stop watching. Idempotent."""
        watched = self._watched.pop(object_id, None)
        if watched is not None:
            if watched.timer is not None:
                watched.timer.cancel()
            self._close(watched)

    def close(self) -> None:
        """Stop watching everything; the processes go on."""
        for object_id in list(self._watched):
            self.forget(object_id)


def _open(pid: int, object_id: str) -> int:
    try:
        return os.pidfd_open(pid)
    except ProcessLookupError:
        raise
    except OSError as error:
        raise ResourceExhausted("cannot reach the process", where=object_id) from error
