"""Checklist 15 to 19: sandboxes."""

from __future__ import annotations

import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from conformance_kit import FOREVER, ConformanceNode, refused
from harness.cri import CriError
from harness.node import CONTAINER, NODE, POD, TARGET

from cricket._proto.cri import api_pb2 as pb

pytestmark = pytest.mark.root
MAPPING = {"host_id": 200_000, "container_id": 0, "length": 65536}


def test_15_run_pod_sandbox_returns_ready_with_network(node: ConformanceNode, handler: str) -> None:
    pod = node.run_pod(handler=handler)
    status = node.pod_status(pod)
    assert status.state == pb.SANDBOX_READY and status.runtime_handler == handler
    assert status.network.ip and status.linux.namespaces.HasField("options")
    assert status.linux.namespaces.options.network == POD
    assert [ip.ip for ip in status.network.additional_ips], "the network is dual stack"


def test_15_host_network_is_told(node: ConformanceNode) -> None:
    status = node.pod_status(node.run_pod(node.security_pod(namespace_options={"network": NODE})))
    assert status.linux.namespaces.options.network == NODE and not status.network.ip


def test_15_a_retry_joins_the_first_attempt(node: ConformanceNode) -> None:
    config = node.pod()
    with pytest.raises(CriError):  # the kubelet's deadline, much shorter
        node.cri.call("RunPodSandbox", config=config, within=0.003)
    with ThreadPoolExecutor(4) as threads:
        ids = set(threads.map(lambda _: node.run_pod(config), range(4)))
    assert len(ids) == 1
    assert [item.id for item in node.cri.call("ListPodSandbox").items] == list(ids)
    assert node.run_pod(config) in ids


def test_15_a_retry_after_a_failure_starts_afresh(node: ConformanceNode) -> None:
    """A log directory that cannot be: the attempt fails in the middle, and leaves neither a record nor the name."""
    node.logs.mkdir(exist_ok=True)
    obstacle = node.logs / "obstacle"
    obstacle.write_text("a file")
    config = node.pod(log_directory=str(obstacle / "pod"))
    with pytest.raises(CriError):
        node.run_pod(config)
    assert not node.cri.call("ListPodSandbox").items and not node.network.reserved()
    obstacle.unlink()
    assert node.pod_status(node.run_pod(config)).network.ip


def test_16_the_newest_sandbox_of_a_pod_is_the_ready_one(node: ConformanceNode) -> None:
    ids = []
    for attempt in range(3):
        ids.append(node.run_pod(node.pod("again", attempt=attempt)))
        for old in ids[:-1]:
            node.cri.call("StopPodSandbox", pod_sandbox_id=old)
    for _ in range(2):
        items = sorted(node.cri.call("ListPodSandbox").items, key=lambda item: item.created_at)
        assert [item.id for item in items] == ids
        assert [item.state for item in items] == [pb.SANDBOX_NOTREADY, pb.SANDBOX_NOTREADY, pb.SANDBOX_READY]
        node.restart(kill=True)


def test_17_stop_kills_containers_and_releases_the_network(node: ConformanceNode, image: str) -> None:
    pod = node.run_pod()
    made = [node.run(pod, node.container(image, *FOREVER, name=f"c{i}")) for i in range(2)]
    assert node.network.reserved() and node.network.ports()
    for _ in range(3):
        node.cri.call("StopPodSandbox", pod_sandbox_id=pod)
        assert {node.state_of(c) for c in made} == {"CONTAINER_EXITED"}
        assert node.pod_status(pod).state == pb.SANDBOX_NOTREADY
        assert not node.network.reserved() and not node.network.ports()


def test_17_a_lost_network_namespace_is_no_error(node: ConformanceNode) -> None:
    pod = node.run_pod()
    pins = [point for point in node.leaks.mounts() if pod in point and point.endswith("/net")]
    assert pins
    for point in pins:
        subprocess.run(["umount", "-l", point], check=True)
        Path(point).unlink(missing_ok=True)
    node.cri.call("StopPodSandbox", pod_sandbox_id=pod)
    node.cri.call("RemovePodSandbox", pod_sandbox_id=pod)
    assert not node.network.reserved()
    _forget_masquerading(pod)


def _forget_masquerading(pod: str) -> None:
    """CNI's bridge plugin learns the addresses of its rules from the interface: with the namespace they are lost."""
    for save, restore in (("iptables-save", "iptables-restore"), ("ip6tables-save", "ip6tables-restore")):
        rules = subprocess.run([save, "-t", "nat"], capture_output=True, text=True, check=True).stdout.splitlines()
        ours = [rule for rule in rules if pod in rule]
        chains = {rule.split()[1] for rule in ours} - {"POSTROUTING"}
        lines = [f"-D {rule[3:]}" for rule in ours] + [f"-X {chain}" for chain in chains]
        text = "\n".join(["*nat", *lines, "COMMIT", ""])
        subprocess.run([restore, "--noflush"], input=text, text=True, check=True)


def test_18_exited_containers_keep_their_sandbox_id(node: ConformanceNode, image: str) -> None:
    pod = node.run_pod()
    container = node.run(pod, node.container(image, "true"))
    node.wait_exit(container)
    node.cri.call("StopPodSandbox", pod_sandbox_id=pod)
    for _ in range(2):
        (item,) = node.cri.call("ListContainers", filter={"pod_sandbox_id": pod}).containers
        assert (item.id, item.pod_sandbox_id) == (container, pod)
        node.restart(kill=True)


def test_19_a_user_namespace_maps_id_0(node: ConformanceNode, image: str, handler: str) -> None:
    _needs_userns(node, handler)
    userns = {"mode": POD, "uids": [MAPPING], "gids": [MAPPING]}
    config = node.security_pod(namespace_options={"userns_options": userns})
    pod = node.run_pod(config, handler)
    security = {"namespace_options": {"pid": CONTAINER, "userns_options": userns}}
    container = node.run(pod, node.container_with(image, *FOREVER, security=security), config)
    assert node.output(container, "cat", "/proc/self/uid_map").split() == ["0", "200000", "65536"]
    assert node.output(container, "id", "-u").strip() == "0"
    assert node.output(container, "stat", "-c", "%u", "/bin/busybox").strip() == "0"
    assert _owner(node.pid(container)) == 200_000


def _owner(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Uid:"))


def _needs_userns(node: ConformanceNode, handler: str) -> None:
    features = {h.name: h.features for h in node.cri.call("Status").runtime_handlers}
    if not features[handler].user_namespaces:
        pytest.skip(f"{handler} has no user namespaces here")


_BAD_USERNS: dict[str, dict[str, Any]] = {
    "two mappings": {"mode": POD, "uids": [MAPPING, {**MAPPING, "container_id": 65536}], "gids": [MAPPING]},
    "id 0 is not mapped": {"mode": POD, "uids": [{**MAPPING, "container_id": 1}], "gids": [MAPPING]},
    "no mappings": {"mode": POD},
    "uids and gids differ in number": {"mode": POD, "uids": [MAPPING]},
    "mode CONTAINER": {"mode": CONTAINER, "uids": [MAPPING], "gids": [MAPPING]},
    "mode TARGET": {"mode": TARGET, "uids": [MAPPING], "gids": [MAPPING]},
    "mappings for NODE": {"mode": NODE, "uids": [MAPPING], "gids": [MAPPING]},
}


@pytest.mark.parametrize("what", _BAD_USERNS)
def test_19_wrong_user_namespaces_are_refused(node: ConformanceNode, what: str) -> None:
    with refused("INVALID_ARGUMENT"):
        node.run_pod(node.security_pod(namespace_options={"userns_options": _BAD_USERNS[what]}))
    assert not node.cri.call("ListPodSandbox").items


def test_19_a_group_without_a_user_is_refused(node: ConformanceNode, image: str) -> None:
    with refused("INVALID_ARGUMENT"):
        node.run_pod(node.security_pod(run_as_group={"value": 5}))
    with refused("INVALID_ARGUMENT"):
        node.create(node.run_pod(), node.container_with(image, "true", security={"run_as_group": {"value": 5}}))


def test_19_recursive_read_only_needs_readonly_and_private(
    node: ConformanceNode, image: str, handler: str, tmp_path: Path
) -> None:
    pod = node.run_pod(handler=handler)
    (tmp_path / "below").mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "below", str(tmp_path / "below")], check=True)
    try:
        mount = {"container_path": "/m", "host_path": str(tmp_path), "recursive_read_only": True}
        for wrong in ({}, {"readonly": True, "propagation": 1}, {"readonly": True, "propagation": 2}):
            with refused("INVALID_ARGUMENT"):
                node.create(pod, node.container(image, "true", mounts=[{**mount, **wrong}]))
        features = {h.name: h.features for h in node.cri.call("Status").runtime_handlers}
        right = node.container(image, *FOREVER, mounts=[{**mount, "readonly": True}])
        if features[handler].recursive_read_only_mounts:
            container = node.run(pod, right)
            for path in ("/m/x", "/m/below/x"):
                assert node.exec(container, "touch", path).exit_code, f"{path} can be written"
        else:
            with refused("UNKNOWN"):
                node.create(pod, right)
    finally:
        node.cri.call("RemovePodSandbox", pod_sandbox_id=pod)
        subprocess.run(["umount", str(tmp_path / "below")], check=True)
