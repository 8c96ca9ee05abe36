"""`cricket run` that was killed: the next one removes what is left, by what is on disk."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest
from harness.containerd import ContainerdNode
from harness.images import busybox
from harness.node import Node, until

from cricket.client.endpoint import probe
from cricket.client.errors import UnreachableError
from cricket.kubelet.volumes.mounting import mount_points

pytestmark = pytest.mark.root
Cricket = Any
_LONG = """\
apiVersion: v1
kind: Pod
metadata: {name: long}
spec:
  hostNetwork: %s
  containers:
  - name: main
    image: %s
    command: [sh, -c, "echo up; exec sleep 1000"]
    volumeMounts: [{name: m, mountPath: /m}, {name: s, mountPath: /s, subPath: a}]
  volumes: [{name: m, emptyDir: {medium: Memory}}, {name: s, emptyDir: {}}]
"""
_SHORT = """\
apiVersion: v1
kind: Pod
metadata: {name: short}
spec:
  hostNetwork: %s
  restartPolicy: Never
  containers: [{name: main, image: %s, command: [echo, done]}]
"""


def _killed(cricket: Cricket, root: Path, text: str) -> dict[str, str]:
    """A run that was killed when its pod ran: what it had noted."""
    (cricket.directory / "long.yaml").write_text(text)
    out = cricket.directory / "out"
    with open(out, "wb") as file:
        process = cricket.start("run", "--root", str(root), "long.yaml", stdout=file, stderr=subprocess.STDOUT)

    def up() -> bool:
        assert process.poll() is None, out.read_text()
        return "| up" in out.read_text()

    until(up, "the pod does not run")
    process.kill()
    process.wait()
    (note,) = (root / "runs").glob("*/run.json")
    found: dict[str, str] = json.loads(note.read_text())
    return found


def _left(root: Path, *names: str) -> list[str]:
    """What there is of runs: directories, mounts, cgroups."""
    groups = Path("/sys/fs/cgroup")
    places = [place / f"cricketpods-{name}" for name in names for place in (groups, *groups.iterdir())]
    runs = root / "runs"
    return [*map(str, runs.iterdir()), *mount_points(str(runs)), *(str(p) for p in places if p.exists())]


def _name(root: Path) -> str:
    (run,) = (root / "runs").iterdir()
    return run.name


def test_pods_at_a_daemon(cricket: Cricket, node: Node, image: str, tmp_path: Path) -> None:
    root = tmp_path / "root"
    assert _killed(cricket, root, _LONG % ("false", image))["state"] == ""
    assert len(cricket.ok("pods", "-q").split()) == 1 and mount_points(str(root))
    name = _name(root)
    assert len(_left(root, name)) > 4
    (tmp_path / "short.yaml").write_text(_SHORT % ("false", image))
    done = cricket("run", "--root", str(root), "short.yaml")
    assert done.returncode == 0 and b"an earlier run was killed" in done.stderr, done.stderr
    assert cricket.ok("pods", "-q") == "" and _left(root, name) == []
    node.assert_clean("the runs")


@pytest.mark.parametrize("engine", ["lives", "killed"])
def test_pods_of_an_engine_of_its_own(cricket: Cricket, node: Node, tmp_path: Path, engine: str) -> None:
    if isinstance(node, ContainerdNode):
        pytest.skip("it has nothing to do with that")
    if os.path.exists("/run/cricket/cricket.sock"):
        pytest.skip("this machine has a daemon")
    root = tmp_path / "root"
    _load(cricket, root)
    cricket.forget_endpoint()
    note = _killed(cricket, root, _LONG % ("true", "test/busybox:1"))
    assert os.path.isdir(note["state"])
    name = _name(root)
    if engine == "killed":
        _kill_engine(note["state"])
    (tmp_path / "short.yaml").write_text(_SHORT % ("true", "test/busybox:1"))
    done = cricket("run", "--root", str(root), "short.yaml")
    assert done.returncode == 0 and b"an earlier run was killed" in done.stderr, done.stderr
    assert _left(root, name) == [] and not os.path.exists(note["state"])
    assert not _engines(note["state"])


def _load(cricket: Cricket, root: Path) -> None:
    """Give the engine that comes its image."""
    busybox().write_layout(root / "layout", "test/busybox:1")
    words = ("--root", str(root / "engine"), "--state", str(root / "s"), "--socket", str(root / "s/c.sock"))
    (root / "cni").mkdir()
    serve = cricket.start("serve", *words, "--conf-dir", str(root / "cni"), stderr=subprocess.DEVNULL)

    def answers() -> bool:
        try:
            probe(str(root / "s/c.sock"))
        except UnreachableError:
            return False
        return True

    until(answers, "the engine does not start")
    cricket.ok("-r", f"unix://{root}/s/c.sock", "load", str(root / "layout"))
    serve.terminate()
    assert serve.wait(30) == 0
    for left in (root / "s").rglob("*.sock"):
        left.unlink()


def _engines(state: str) -> list[int]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
        except OSError:
            continue
        if b"serve" in words and state.encode() in words:
            found.append(int(path.parent.name))
    return found


def _kill_engine(state: str) -> None:
    (pid,) = _engines(state)
    watch = os.pidfd_open(pid)
    signal.pidfd_send_signal(watch, signal.SIGKILL)
    os.close(watch)
    until(lambda: not _engines(state), "it does not die")
