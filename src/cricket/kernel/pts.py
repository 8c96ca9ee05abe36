"""The terminals of processes in containers, from outside."""

from __future__ import annotations

import fcntl
import os
import stat
import struct
import termios

from cricket.kernel.proc import PROC

# Majors of pseudo-terminals (Documentation/admin-guide/devices.txt).
_MAJORS = range(136, 144)


def pack_size(width: int, height: int) -> bytes:
    """A `struct winsize`; both are cut to 16 bits."""
    return struct.pack("HHHH", height & 0xFFFF, width & 0xFFFF, 0, 0)


def set_size(pid: int, size: bytes) -> bool:
    """Give the pseudo-terminal that is standard input of a process this size (a `struct winsize`).

    False when the process has gone or has none there. The kernel tells those who use it by SIGWINCH if it has changed.
    """
    try:
        # The process may have put anything there: it is looked at before it is opened.
        seen = os.open(f"{PROC}/{pid}/fd/0", os.O_PATH | os.O_CLOEXEC)
        try:
            status = os.fstat(seen)
            if not stat.S_ISCHR(status.st_mode) or os.major(status.st_rdev) not in _MAJORS:
                return False
            fd = os.open(f"/proc/self/fd/{seen}", os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC)
        finally:
            os.close(seen)
        try:
            fcntl.ioctl(fd, termios.TIOCSWINSZ, size)
        finally:
            os.close(fd)
    except OSError:
        return False
    return True
