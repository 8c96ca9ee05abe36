"""Budgets that count instead of measuring time, so that they hold on any machine: they must not creep."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness.node import CONTAINER, Node, until
from harness.registry import Registry

pytestmark = pytest.mark.root

# One pod with one container, start to removal: conmon, and crun's start and delete. crun create is conmon's child.
PROCESSES_PER_POD = 3
FSYNCS_PER_POD = 8  # the network's cached result, and host-local's reservation
WAKE_UPS_PER_SECOND = 2
MODULES_AT_START = 600
SECONDS_AT_REST = 3
HEAVY = ("grpc", "tarfile", "isal", "zstandard", "yaml", "http.client", "urllib.request", "email", "multiprocessing")


@pytest.fixture
def metered(tmp_path: Path, registry: Registry, busybox_ref: str) -> Iterator[tuple[Node, str]]:
    """A node with a metrics endpoint, busybox pulled and one pod gone, so that everything lazy is loaded."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    with Node.made(tmp_path, registry=registry, metrics={"address": address}) as node:
        node.pull(busybox_ref)
        one_pod(node, busybox_ref)
        yield node, address


def one_pod(node: Node, image: str) -> None:
    """Start a pod with a container and remove it."""
    security = {"namespace_options": {"pid": CONTAINER}}
    config = node.pod(linux={"security_context": security})
    pod = node.run_pod(config)
    node.run(pod, node.container(image, "sleep", "1000"), config)
    node.cri.call("StopPodSandbox", pod_sandbox_id=pod)
    node.cri.call("RemovePodSandbox", pod_sandbox_id=pod)


def metric(address: str, name: str) -> float:
    """The sum over the series of a metric."""
    with urllib.request.urlopen(f"http://{address}/metrics", timeout=10) as answer:
        text = answer.read().decode()
    assert f"# TYPE {name} " in text
    return sum(float(value) for value in re.findall(rf"^{name}(?:\{{[^}}]*\}})? (\S+)$", text, re.MULTILINE))


def test_a_pod_costs_few_processes_and_syncs(metered: tuple[Node, str], busybox_ref: str) -> None:
    node, address = metered
    processes, syncs = metric(address, "cricket_processes_total"), metric(address, "cricket_fsyncs_total")
    one_pod(node, busybox_ref)
    assert metric(address, "cricket_processes_total") - processes <= PROCESSES_PER_POD
    assert metric(address, "cricket_fsyncs_total") - syncs <= FSYNCS_PER_POD


def test_pods_leave_no_descriptors_open(metered: tuple[Node, str], busybox_ref: str) -> None:
    node, address = metered
    before = metric(address, "cricket_open_files")
    for _ in range(3):
        one_pod(node, busybox_ref)
    # The last pod's monitor may be about to end.
    until(lambda: metric(address, "cricket_open_files") <= before, "descriptors stayed open")


def test_nothing_wakes_up_at_rest(metered: tuple[Node, str]) -> None:
    node, _ = metered
    before = switches(node.daemon.pid)
    # Nothing happens in this time: that is what is measured, so there is nothing else to wait for.
    subprocess.run(["sleep", str(SECONDS_AT_REST)], check=True)
    assert (switches(node.daemon.pid) - before) / SECONDS_AT_REST <= WAKE_UPS_PER_SECOND


def switches(pid: int) -> int:
    """Voluntary context switches of all threads: each is a sleep that something ended."""
    total = 0
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/status") as f:
            total += sum(int(line.split()[1]) for line in f if line.startswith("voluntary"))
    return total


def test_the_daemon_imports_nothing_heavy() -> None:
    script = "import cricket.daemon, sys; print(*sys.modules)"
    modules = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout.split()
    assert len(modules) <= MODULES_AT_START
    assert [name for name in HEAVY if name in modules] == []


def test_metrics_tell_of_pods_images_and_pulls(metered: tuple[Node, str], busybox_ref: str) -> None:
    node, address = metered
    config = node.pod()
    pod = node.run_pod(config)
    node.run(pod, node.container(busybox_ref, "sleep", "1000"), config)
    assert metric(address, "cricket_sandboxes") == 1
    assert metric(address, "cricket_containers") == 1
    assert metric(address, "cricket_images") == 1
    assert metric(address, "cricket_image_pulls_total") == 1
    assert metric(address, "cricket_image_pull_bytes_total") > 0
    assert metric(address, "cricket_network_ready") == 1
    assert metric(address, "cricket_tasks") > 0
