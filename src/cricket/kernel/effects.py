"""A place to die: tests/faults kills the daemon after its Nth effect. Costs one comparison when it is off.

Every effect that outlives the process (a record written, a mount, a namespace, a plugin or runtime run) is followed by
`effect(name)`. With CRICKET_EFFECTS=DIR in the environment each is written to DIR/log, and counted down in DIR/left,
which the test writes: at 1 the daemon dies by SIGKILL, at 0 (or without the file) nothing is counted; "-1 NAME" is the
next effect of that name. The daemon's workers share count and fate with it, as they would when a node fails.
"""

from __future__ import annotations

import fcntl
import os
import signal

_DAEMON = "CRICKET_EFFECTS_PID"
_directory = os.environ.get("CRICKET_EFFECTS", "")
if _directory:
    # The first process is the daemon; its workers inherit the number.
    os.environ.setdefault(_DAEMON, str(os.getpid()))


def effect(name: str) -> None:
    """Tell that a lasting effect has just happened."""
    if _directory:
        _count(name)


def _count(name: str) -> None:
    try:
        fd = os.open(f"{_directory}/left", os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        number, _, awaited = os.pread(fd, 200, 0).decode().partition(" ")
        left = int(number)
        if left == 0:
            return
        with open(f"{_directory}/log", "a") as log:
            log.write(f"{name}\n")
        if not awaited:
            os.ftruncate(fd, 0)
            os.pwrite(fd, b"%d" % (left - 1), 0)
        if name == awaited or (left == 1 and not awaited):
            # Under the lock, so that no other process of ours goes on.
            os.kill(int(os.environ[_DAEMON]), signal.SIGKILL)
            os.kill(os.getpid(), signal.SIGKILL)
    finally:
        os.close(fd)
