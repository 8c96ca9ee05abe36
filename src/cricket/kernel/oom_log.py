"""OOM kills in the kernel's log, the one witness that outlives the cgroup of the killed."""

from __future__ import annotations

import re

from cricket.kernel import libc

_SIZE = 1 << 18  # as large as Debian's ring; reading it takes about 1 ms


def killed_in(cgroup: str) -> bool:
    """Whether the log tells of a kill in this cgroup or one below it. False where the log may not be read.

    The kernel tells of at most ten kills in five seconds, so a no is not certain.
    """
    try:
        log = libc.kernel_log(_SIZE)
    except OSError:
        return False
    return tells(log, cgroup)


def tells(log: bytes, cgroup: str) -> bool:
    """As `killed_in`, of this text: "oom-kill:constraint=...,task_memcg=/the/cgroup,task=tail,pid=7,uid=0"."""
    return re.search(rb"oom-kill:[^\n]*,task_memcg=" + re.escape(cgroup.encode()) + rb"[/,]", log) is not None
