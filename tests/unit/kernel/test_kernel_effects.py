"""The countdown of effects, in processes of their own, as it ends in a death."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

_MANY = "from cricket.kernel.effects import effect\nfor n in range(5): effect(f'e{n}')\nprint('alive')"
_WORKER = f"""
import os, subprocess, sys
from cricket.kernel.effects import effect
effect('daemon')
subprocess.run([sys.executable, '-c', {_MANY!r}])
effect('after')
print('alive')
"""


def run(program: str, directory: Path | None) -> tuple[int, str]:
    env = {k: v for k, v in os.environ.items() if not k.startswith("CRICKET_")}
    if directory is not None:
        env["CRICKET_EFFECTS"] = str(directory)
    done = subprocess.run([sys.executable, "-c", program], env=env, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout


def test_without_the_variable_nothing_happens(tmp_path: Path) -> None:
    assert run(_MANY, None) == (0, "alive\n")


@pytest.mark.parametrize("left", [None, "0", "6"])
def test_it_lives_when_the_count_is_not_reached(tmp_path: Path, left: str | None) -> None:
    if left is not None:
        (tmp_path / "left").write_text(left)
    assert run(_MANY, tmp_path) == (0, "alive\n")
    log = tmp_path / "log"
    assert (log.read_text().split() if log.exists() else []) == (["e0", "e1", "e2", "e3", "e4"] if left == "6" else [])


@pytest.mark.parametrize("left", ["3", "-1 e2"])
def test_it_dies_after_the_effect(tmp_path: Path, left: str) -> None:
    (tmp_path / "left").write_text(left)
    assert run(_MANY, tmp_path) == (-9, "")
    assert (tmp_path / "log").read_text().split() == ["e0", "e1", "e2"]


def test_a_worker_takes_the_daemon_along(tmp_path: Path) -> None:
    (tmp_path / "left").write_text("3")
    assert run(_WORKER, tmp_path) == (-9, "")
    assert (tmp_path / "log").read_text().split() == ["daemon", "e0", "e1"]
