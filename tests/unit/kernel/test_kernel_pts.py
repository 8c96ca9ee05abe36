"""Sizes of other processes' terminals."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from cricket.kernel import pts

SIZE = pts.pack_size(132, 43)


def test_the_process_hears_of_a_new_size() -> None:
    ours, theirs = os.openpty()
    # A session of its own, with the terminal as the controlling one: that is who gets the signal.
    script = "trap 'stty size; exit 0' WINCH; echo ready; while :; do sleep 0.01; done"
    with subprocess.Popen(["setsid", "-c", "sh", "-c", script], stdin=theirs, stdout=theirs) as p:
        os.close(theirs)
        assert os.read(ours, 100).startswith(b"ready")
        assert pts.set_size(p.pid, SIZE)
        assert b"43 132" in os.read(ours, 100)
    os.close(ours)


@pytest.mark.parametrize("kind", ["fifo", "null"])
def test_what_is_no_terminal_is_not_opened(tmp_path: Path, kind: str) -> None:
    os.mkfifo(tmp_path / "fifo")
    fd = {
        "fifo": lambda: os.open(tmp_path / "fifo", os.O_RDONLY | os.O_NONBLOCK),
        "null": lambda: os.open(os.devnull, os.O_RDONLY),
    }[kind]()
    with subprocess.Popen(["sleep", "1000"], stdin=fd) as process:
        assert not pts.set_size(process.pid, SIZE)
        process.kill()
    os.close(fd)


def test_a_process_that_is_gone() -> None:
    with subprocess.Popen(["true"]) as process:
        process.wait()
    assert not pts.set_size(process.pid, SIZE)


def test_sizes_are_cut() -> None:
    assert pts.pack_size(65536 + 80, -1) == pts.pack_size(80, 65535)
