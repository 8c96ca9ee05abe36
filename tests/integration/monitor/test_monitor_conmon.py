"""conmon with runtimes that are scripts: what hangs is ended, what is refused is told."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from cricket.errors import Internal
from cricket.monitor import conmon
from cricket.monitor.conmon import Conmon, MonitorSpec

pytestmark = pytest.mark.skipif(shutil.which("conmon") is None, reason="needs conmon")


def _spec(tmp_path: Path, script: str, **changes: str) -> MonitorSpec:
    runtime = tmp_path / "runtime"
    runtime.write_text("#!/bin/sh\n" + script)
    runtime.chmod(0o755)
    bundle = tmp_path / changes.pop("bundle", "bundle")
    bundle.mkdir()
    settings = {"log_path": str(tmp_path / "log"), "name": "name", **changes}
    return MonitorSpec(container_id="c" * 64, bundle=str(bundle), runtime=str(runtime), **settings)


def _running(text: str) -> list[str]:
    lines = subprocess.run(["ps", "ax", "-o", "pid,stat,args"], capture_output=True, text=True, check=True).stdout
    return [line for line in lines.splitlines() if text in line]


async def test_a_runtime_that_hangs_is_ended_with_its_monitor(tmp_path: Path) -> None:
    monitor = Conmon("conmon", str(tmp_path))
    spec = _spec(tmp_path, "sleep 1000000 & sleep 1000000\n")
    with pytest.raises(Internal, match="did not answer"):
        await monitor.create(spec, timeout=0.3)
    assert not conmon.alive(spec.bundle)
    assert not _running(str(tmp_path))


async def test_what_the_monitor_refuses_is_told(tmp_path: Path) -> None:
    spec = _spec(tmp_path, "", log_path=str(tmp_path / "nosuch" / "log"))
    with pytest.raises(Internal, match="log file"):
        await Conmon("conmon", str(tmp_path)).create(spec)


@pytest.mark.parametrize("name", ["日本/../x", "-x", "--help", "a b\n", "x" * 5000])
async def test_any_name_and_directory_will_do(tmp_path: Path, name: str) -> None:
    spec = _spec(tmp_path, 'echo "the runtime ran" >&2; exit 1\n', name=name, bundle="bün dle\n")
    with pytest.raises(Internal, match="the runtime ran"):
        await Conmon("conmon", str(tmp_path)).create(spec)
    assert os.path.exists(tmp_path / "log")


async def test_ending_a_monitor_that_is_none_harms_nobody(tmp_path: Path) -> None:
    """The pid file names a process of somebody else: pids are used again."""
    with subprocess.Popen(["sleep", "1000000"]) as other:  # noqa: ASYNC220 (it starts in a moment)
        (tmp_path / "conmon.pid").write_text(str(other.pid))
        await conmon.end(str(tmp_path))
        assert other.poll() is None
        other.kill()
