"""The node agent beside systemd: slices of classes and pods on cgroup v2, with limits, and nothing left of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from harness.node import until
from vm_agent import ROOT, VmAgent, cgroup_of_pod, left
from vm_node import CGROUPS, MIB, VmNode, cgroup_of_scope, show, systemctl, units

pytestmark = pytest.mark.root

PODS = """\
    apiVersion: v1
    kind: Pod
    metadata: {name: guaranteed}
    spec:
      terminationGracePeriodSeconds: 0
      containers:
      - name: c
        image: IMAGE
        command: [sleep, "1000000"]
        resources: {limits: {cpu: 500m, memory: 32Mi, hugepages-2Mi: 4Mi}}
    ---
    apiVersion: v1
    kind: Pod
    metadata: {name: burstable}
    spec:
      terminationGracePeriodSeconds: 0
      containers:
      - name: c
        image: IMAGE
        command: [sleep, "1000000"]
        resources: {requests: {cpu: 250m}, limits: {memory: 32Mi}}
    ---
    apiVersion: v1
    kind: Pod
    metadata: {name: besteffort}
    spec:
      terminationGracePeriodSeconds: 0
      containers:
      - name: c
        image: IMAGE
        command: [sleep, "1000000"]
"""
CLASSES = {"guaranteed": "", "burstable": "burstable", "besteffort": "besteffort"}
LIMITS = ("cpu.weight", "cpu.max", "memory.max", "pids.max", "hugetlb.2MB.max")


@pytest.fixture
def agent(node: VmNode, image: str, tmp_path: Path) -> Iterator[VmAgent]:
    """An agent; after the test its pods are ended by it, and systemd knows nothing more of them."""
    made = VmAgent(tmp_path, image)
    made.start()
    yield made
    made.end_pods()
    made.stop()
    assert not left()
    assert not units("--state=failed")


def test_slices_have_limits_and_go_with_their_pods(agent: VmAgent, node: VmNode) -> None:
    agent.put(PODS)
    uids = agent.wait_ready(*CLASSES)
    of = {name: cgroup_of_pod(uids[name], quality) for name, quality in CLASSES.items()}
    _scopes_are_in_slices(node, uids, of)
    wanted = {
        "guaranteed": ["20", "50000 100000", str(32 * MIB), "50", str(4 * MIB)],
        "burstable": ["10", "max 100000", str(32 * MIB), "50", "0"],
        "besteffort": ["1", "max 100000", "max", "50", "0"],
    }
    assert {name: _files(path, *LIMITS) for name, path in of.items()} == wanted
    weights = [_files(cgroup_of_pod("", quality), "cpu.weight") for quality in ("burstable", "besteffort")]
    assert weights == [["10"], ["1"]]

    agent.put(PODS.replace("limits: {memory: 32Mi}", "limits: {memory: 64Mi, cpu: 500m}"))
    until(lambda: "ResizeCompleted" in agent.reasons(), "it is not resized", 60)
    wanted["burstable"][1:3] = ["50000 100000", str(64 * MIB)]
    assert {name: _files(path, *LIMITS) for name, path in of.items()} == wanted
    # systemd writes what it knows of every unit again when its configuration is read anew.
    systemctl("daemon-reload")
    assert {name: _files(path, *LIMITS) for name, path in of.items()} == wanted
    assert agent.wait_ready(*CLASSES) == uids

    # While there is no agent one pod is lost, and two are wanted no more.
    agent.stop()
    _remove_pod(node, uids["burstable"])
    assert of["burstable"].is_dir()
    agent.put(PODS.partition("---")[0])
    agent.start()
    kept = sorted([f"{ROOT}.slice", of["guaranteed"].name])
    until(lambda: sorted(units(f"{ROOT}*")) == kept, "slices stay", 60)
    assert [path.name for path in (CGROUPS / f"{ROOT}.slice").iterdir() if path.is_dir()] == [of["guaranteed"].name]
    assert agent.wait_ready("guaranteed")["guaranteed"] == uids["guaranteed"]


def _files(directory: Path, *names: str) -> list[str]:
    return [(directory / name).read_text().strip() for name in names]


def _scopes_are_in_slices(node: VmNode, uids: dict[str, str], of: dict[str, Path]) -> None:
    items = node.cri.call("ListContainers").containers
    for name, path in of.items():
        (container,) = [c.id for c in items if c.labels["io.kubernetes.pod.uid"] == uids[name]]
        assert cgroup_of_scope(container).parent == path
        assert show(path.name, "ActiveState") == "active"


def _remove_pod(node: VmNode, uid: str) -> None:
    (box,) = [item.id for item in node.cri.call("ListPodSandbox").items if item.metadata.uid == uid]
    node.cri.call("StopPodSandbox", pod_sandbox_id=box, within=120)
    node.cri.call("RemovePodSandbox", pod_sandbox_id=box, within=120)
