"""Cgroups of pods on this host's own hierarchies: limits while they run, nothing when they are gone."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness.node import Node, until
from kubelet_agent import AgentProcess

from cricket.kubelet.cgroups.hierarchy import Tree, hierarchies
from cricket.kubelet.cgroups.limits import Limits

pytestmark = pytest.mark.root
MIB = 1 << 20

POD = """\
    apiVersion: v1
    kind: Pod
    metadata: {name: web}
    spec:
      terminationGracePeriodSeconds: 0
      containers:
      - name: main
        image: IMAGE
        command: [sleep, "1000"]
        resources: {requests: {cpu: 100m}, limits: {cpu: 200m, memory: 32Mi}}
      - name: side
        image: IMAGE
        command: [sh, -c, "dd if=/dev/zero of=/dev/shm/x bs=1M count=8; exec sleep 1000"]
        resources: {limits: {cpu: 300m, memory: 16Mi}}
"""


@pytest.fixture
def tree() -> Iterator[tuple[Tree, str]]:
    made, root = Tree(hierarchies()), f"/cricket-test-tree-{os.getpid()}"
    yield made, root
    made.remove(root)
    assert not made.exists(root)


def _file(tree: Tree, path: str, v1: str, v2: str) -> str:
    """The text of a file, by its name on either version."""
    name = v2 if tree.unified else v1
    found = [Path(h.mount + path, name) for h in tree.all if Path(h.mount + path, name).exists()]
    return found[0].read_text().strip()


def test_limits_hold_and_what_is_left_is_killed(tree: tuple[Tree, str]) -> None:
    made, root = tree
    path = f"{root}/burstable/pod1"
    made.make(path)
    made.write(path, Limits(512, 50_000, 8 * MIB, 20))
    assert _file(made, path, "memory.limit_in_bytes", "memory.max") == str(8 * MIB)
    assert _file(made, path, "pids.max", "pids.max") == "20"
    made.write(path, Limits(512))
    assert _file(made, path, "cpu.cfs_quota_us", "cpu.max").startswith("max" if made.unified else "-1")
    made.make(f"{path}/inner")
    process = subprocess.Popen(["sleep", "1000"])
    joined = [Path(f"{h.mount}{path}/inner/cgroup.procs") for h in made.all]
    for procs in filter(Path.exists, joined):
        procs.write_text(str(process.pid))
    made.remove(path)
    assert process.wait(5) == -9 and not made.exists(path)
    assert made.children(root) == {"burstable"}


def test_a_pod_has_a_cgroup_with_its_limits(agent: AgentProcess, node: Node) -> None:
    tree, root = Tree(hierarchies()), agent.cgroup_root
    agent.put(POD)
    uid = agent.wait_ready()["uid"]
    path = f"{root}/burstable/pod{uid}"
    assert _file(tree, path, "memory.limit_in_bytes", "memory.max") == str(48 * MIB)
    assert _file(tree, path, "cpu.cfs_quota_us", "cpu.max").split()[0] == "50000"
    assert _file(tree, path, "cpu.shares", "cpu.weight") == ("16" if tree.unified else "409")
    assert _file(tree, f"{root}/burstable", "cpu.shares", "cpu.weight") == ("16" if tree.unified else "409")
    agent.put(POD.replace("memory: 16Mi", "memory: 32Mi"))
    until(lambda: "ResizeCompleted" in agent.reasons(), agent.log())
    assert agent.pod()["uid"] == uid
    assert _file(tree, path, "memory.limit_in_bytes", "memory.max") == str(64 * MIB)
    agent.put(POD.replace("memory: 16Mi", "memory: 8Mi"))
    until(lambda: "ResizeError" in agent.reasons(), agent.log())
    changes = next(c for c in agent.pod()["conditions"] if c["type"] == "PodResizeInProgress")
    assert changes["reason"] == "Error" and "memory limit (8388608) below current usage" in changes["message"]
    agent.put(POD)
    until(lambda: _file(tree, path, "memory.limit_in_bytes", "memory.max") == str(48 * MIB), agent.log())
    until(lambda: "PodResizeInProgress" not in [c["type"] for c in agent.pod()["conditions"]], "it does not settle")
    assert [c["restartCount"] for c in agent.pod()["containerStatuses"]] == [0, 0]
    agent.end_pods()
    assert not tree.exists(root), "the last pod takes the classes and the root along"


def test_a_pod_that_has_ended_has_none(agent: AgentProcess) -> None:
    tree = Tree(hierarchies())
    agent.put(POD.replace("spec:", "spec:\n      activeDeadlineSeconds: 1"))
    uid = agent.wait_phase("Failed")["uid"]
    until(lambda: not tree.exists(f"{agent.cgroup_root}/burstable/pod{uid}"), "its cgroup stays")


def test_switched_off(agent: AgentProcess) -> None:
    agent.stop()
    agent.start("--no-pod-cgroups")
    agent.put(POD)
    uid = agent.wait_ready()["uid"]
    tree, path = Tree(hierarchies()), f"{agent.cgroup_root}/burstable/pod{{}}"
    assert (
        int(_file(tree, path.format(uid), "memory.limit_in_bytes", "memory.max").replace("max", str(1 << 62)))
        > MIB << 20
    )
    agent.stop()
    agent.start()  # this one takes over, and removes what the runtime made
    agent.wait_ready()
