"""Facts from /proc, asked about this very process."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from cricket.errors import Internal
from cricket.kernel import proc


def test_this_boot() -> None:
    assert len(proc.boot_id()) == 36
    assert proc.memory_total() > 1 << 20


def test_this_process_lives() -> None:
    me, started = os.getpid(), proc.start_time(os.getpid())
    assert started
    assert proc.is_alive(me, started)
    assert proc.is_alive(me, 0)
    assert proc.alive([(me, started), (me, started + 1), (0, 0), (-1, 0), (1 << 30, 0)]) == [True] + [False] * 4


def test_a_zombie_is_not_alive() -> None:
    pid = os.posix_spawn("/bin/true", ["true"], {})
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    started = proc.start_time(pid)
    assert started
    assert not proc.is_alive(pid, started)
    os.waitpid(pid, 0)
    assert proc.start_time(pid) is None


def test_a_command_may_hold_parentheses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proc, "PROC", str(tmp_path))
    (tmp_path / "5").mkdir()
    (tmp_path / "5/stat").write_text("5 (a) S (b) R " + " ".join(str(n) for n in range(4, 53)))
    assert proc.start_time(5) == 22
    assert proc.is_alive(5, 22)
    (tmp_path / "5/stat").write_text("")
    assert proc.start_time(5) is None
    with pytest.raises(Internal, match="boot id"):
        proc.boot_id()


def test_descriptors_and_sockets_are_counted() -> None:
    files, sockets = proc.count_fds([os.getpid(), 1 << 30])
    with socket.socket(), open("/dev/null"):
        more_files, more_sockets = proc.count_fds([os.getpid()])
    assert (more_files - files, more_sockets - sockets) == (2, 1)


def test_descendants_are_found_over_generations() -> None:
    read_end, write_end = os.pipe()
    script = "(sleep 60 & echo $!; wait) & echo $!; wait"
    actions = [(os.POSIX_SPAWN_DUP2, write_end, 1)]
    pid = os.posix_spawn("/bin/sh", ["sh", "-c", script], dict(os.environ), file_actions=actions)
    os.close(write_end)
    with os.fdopen(read_end) as out:
        told = {int(out.readline()), int(out.readline())}
        found = proc.descendants(pid)
        try:
            assert set(found) == told
            assert proc.descendants(1 << 30) == []
        finally:
            for each in (*found, pid):
                os.kill(each, 9)
            os.waitpid(pid, 0)
