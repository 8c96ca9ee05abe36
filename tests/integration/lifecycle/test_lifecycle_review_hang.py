"""Paths that hang, as NFS does: one request waits, the daemon serves the others."""

from __future__ import annotations

import json
import os
import subprocess
import time
from pathlib import Path

import pytest
from harness.cri import CriError
from harness.node import CONTAINER, TARGET, Node, until

pytestmark = pytest.mark.root


def test_a_path_that_hangs_holds_only_its_own_container(pods: Node, busybox_ref: str, tmp_path: Path) -> None:
    """A FIFO without a writer, where a seccomp profile should be, hangs like a dead file server."""
    fifo = tmp_path / "profile"
    os.mkfifo(fifo)
    pod = pods.run_pod()
    others = [pods.run(pod, pods.container(busybox_ref, "sleep", "1000000", name=f"c{i}")) for i in range(2)]
    config = pods.container(busybox_ref, "true", name="hangs")
    config["linux"]["security_context"]["seccomp"] = {"profile_type": 2, "localhost_ref": str(fifo)}
    # More than an ordinary pool has threads.
    waiting = [
        pods.cri.start("CreateContainer", pod_sandbox_id=pod, config={**config, "metadata": {"name": f"h{i}"}})
        for i in range(12)
    ]
    began = time.monotonic()
    assert pods.exec(others[0], "echo", "alive").stdout == b"alive\n"
    pods.cri.call("ListContainerStats")
    pods.cri.call("StopContainer", container_id=others[0])
    pods.cri.call("StopPodSandbox", pod_sandbox_id=pod)
    assert time.monotonic() - began < 5
    assert not any(call.done() for call in waiting)
    subprocess.run(["sh", "-c", f"for i in $(seq 12); do echo {{}} > {fifo}; done"], check=True, timeout=20)
    for call in waiting:
        assert call.exception() is not None, "its pod has been stopped"


def test_removing_much_that_is_dirty_stalls_nobody(pods: Node, busybox_ref: str) -> None:
    pod = pods.run_pod()
    script = "dd if=/dev/zero of=/big bs=1M count=300; mkdir /many; cd /many; touch $(seq 20000); echo done; sleep 1000"
    container = pods.run(pod, pods.container(busybox_ref, "sh", "-c", script))
    until(lambda: "done" in pods.log_of(container), "it does not write", 60)
    removing = pods.cri.start("RemoveContainer", container_id=container)
    worst = 0.0
    while not removing.done():
        asked = time.monotonic()
        pods.cri.call("ListContainers")
        worst = max(worst, time.monotonic() - asked)
    removing.result()
    assert worst < 0.5


def _pid(node: Node, container: str) -> int:
    return int(json.loads(node.cri.call("ContainerStatus", container_id=container, verbose=True).info["info"])["pid"])


def _debug(node: Node, image: str, target: str) -> dict[str, object]:
    config = node.container(image, "sh", "-c", "sleep 1000000", name="debug")
    config["linux"]["security_context"]["namespace_options"] = {"pid": TARGET, "target_id": target}
    return config


def test_a_target_that_exits_is_not_replaced_by_whoever_has_its_pid(pods: Node, busybox_ref: str) -> None:
    pod = pods.run_pod()
    target = pods.run(pod, pods.container(busybox_ref, "sleep", "1000000", name="target"))
    debug = pods.create(pod, _debug(pods, busybox_ref, target))
    spec = json.loads((pods.state / "containers" / debug / "config.json").read_text())
    paths = {n["type"]: n.get("path", "") for n in spec["linux"]["namespaces"]}
    assert not paths["pid"].startswith("/proc/"), "a pid is no name of a process"
    pods.cri.call("StopContainer", container_id=target)
    with pytest.raises(CriError):
        pods.start(debug)
    assert pods.state_of(debug) == "CONTAINER_EXITED"


def test_a_target_and_a_pod_share_their_processes(pods: Node, busybox_ref: str) -> None:
    pod = pods.run_pod()
    target = pods.run(pod, pods.container(busybox_ref, "sleep", "1000001", name="target"))
    debug = pods.run(pod, _debug(pods, busybox_ref, target))
    assert b"sleep 1000001" in pods.exec(debug, "ps").stdout
    shared = pods.container(busybox_ref, "sleep", "1000002", name="shared")
    shared["linux"]["security_context"]["namespace_options"]["pid"] = 0
    assert CONTAINER != 0
    one = pods.run(pod, shared)
    assert b"sleep 1000001" not in pods.exec(one, "ps").stdout
    init = json.loads(pods.cri.call("PodSandboxStatus", pod_sandbox_id=pod, verbose=True).info["info"])["pid"]
    assert os.readlink(f"/proc/{init}/ns/pid") == os.readlink(f"/proc/{_pid(pods, one)}/ns/pid")
