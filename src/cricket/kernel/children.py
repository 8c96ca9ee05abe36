"""Children of a daemon that was killed: the next one waits for them before it touches what they work on.

A plugin or a runtime that is at work when the daemon dies goes on. Each child of `process.run` therefore inherits a
descriptor of one locked file; the lock is free when the daemon and all of these children are gone.
"""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os

from cricket.errors import Internal, map_errors
from cricket.kernel import process

log = logging.getLogger(__name__)
_PATIENCE = 20.0


async def adopt(path: str, *, patience: float = _PATIENCE) -> None:
    """Wait, at most `patience` seconds, for children of an earlier daemon; then lock `path` for ours.

    The caller makes sure that no other daemon uses `path`. Raises Internal.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + patience
    with map_errors(OSError, Internal, "cannot lock a file", where=path):
        fd = _open(path)
        while not _lock(fd):
            if loop.time() > deadline:
                log.warning("what an earlier daemon has started still runs: %s", ", ".join(_holders(fd)) or "unknown")
                os.close(fd)
                # A new file, so that the next start does not wait for the same ones.
                os.unlink(path)
                fd, deadline = _open(path), deadline + patience
            await asyncio.sleep(0.005)
    process.bequeath(fd)


def _open(path: str) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def _lock(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _holders(fd: int) -> list[str]:
    """ "pid name" of the processes that have the file open, without our own."""
    wanted, found = os.fstat(fd), []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        if int(pid) == os.getpid():
            continue
        try:
            numbers = os.listdir(f"/proc/{pid}/fd")
            if any(os.path.samestat(wanted, os.stat(f"/proc/{pid}/fd/{n}")) for n in numbers):
                with open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as f:
                    found.append(f"{pid} {f.read().strip()}")
        except OSError:
            continue
    return found
