"""What the kernel says of OOM kills; the lines are from a Debian 12 machine with systemd."""

from __future__ import annotations

import os

import pytest

from cricket.kernel import libc
from cricket.kernel.oom_log import killed_in, tells

SCOPE = "/kubepods.slice/kubepods-podx.slice/cri-cricket-abc.scope"
LOG = (
    b"<6>[   80.1] oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=container,mems_allowed=0,"
    b"oom_memcg=/kubepods.slice/kubepods-podx.slice,task_memcg=%s,task=tail,pid=812,uid=0\n"
    b"<3>[   80.2] Memory cgroup out of memory: Killed process 812 (tail)\n"
)


def test_a_kill_in_the_cgroup_and_below_it() -> None:
    assert tells(LOG % SCOPE.encode(), SCOPE)
    assert tells(LOG % f"{SCOPE}/container".encode(), SCOPE)


def test_a_kill_elsewhere() -> None:
    assert not tells(LOG % b"/kubepods.slice/other.scope", SCOPE)
    assert not tells(LOG % f"{SCOPE}d".encode(), SCOPE)
    assert not tells(b"", SCOPE)


def test_the_machines_own_log_is_no_problem() -> None:
    assert killed_in("/no/such/cgroup") is False


@pytest.mark.skipif(os.geteuid() != 0, reason="others may not read the kernel's log")
def test_the_machines_own_log_is_text() -> None:
    log = libc.kernel_log(1 << 16)
    assert 0 < len(log) <= 1 << 16 and log.startswith(b"<") and b"\0" not in log
