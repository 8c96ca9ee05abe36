"""Warm sandboxes: pods that take one are pods like any other, and the pool is what the configuration says."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from harness.node import CONTAINER, POD, Node, until
from harness.registry import Registry

pytestmark = pytest.mark.root
SIZE = 3


@pytest.fixture
def node(tmp_path: Path, registry: Registry) -> Iterator[Node]:
    """A node with a full pool; a stop without pods takes all of it away."""
    with Node.made(tmp_path, registry=registry, network={"warm_sandboxes": SIZE}) as made:
        full(made)
        yield made
        made.remove_pods()
        made.assert_clean()
        assert made.leaks.warm_troubles() == []
        made.daemon.stop()
        assert (made.leaks.warm(), made.network.reserved(), made.network.ports()) == ([], [], [])


def full(node: Node, size: int = SIZE) -> set[str]:
    """Wait until the pool is full; the ids."""
    until(lambda: len(node.leaks.warm()) == size, "the pool is not filled")
    return {one.id for one in node.leaks.warm()}


def state(node: Node) -> dict[str, Any]:
    """What verbose Status says of the pool."""
    answer = node.cri.call("Status", verbose=True)
    found: dict[str, Any] = json.loads(answer.info["info"])["warmSandboxes"]
    return found


def pod_of(node: Node, **changes: Any) -> dict[str, Any]:
    """A pod as the kubelet makes most of them: no PID namespace of its own."""
    linux = {"security_context": {"namespace_options": {"pid": CONTAINER}}}
    return node.pod(linux=linux | changes.pop("linux", {}), **changes)


def test_pods_take_them_and_have_all_of_their_own(node: Node, busybox_ref: str) -> None:
    node.pull(busybox_ref)
    waiting = full(node)
    configs = [pod_of(node) for _ in range(2 * SIZE)]
    ids = [node.run_pod(config) for config in configs]
    assert waiting <= set(ids[:SIZE])
    addresses: list[str] = []
    for config, pod_id in zip(configs, ids, strict=True):
        status = node.pod_status(pod_id)
        own = [status.network.ip, *(more.ip for more in status.network.additional_ips)]
        addresses += own
        container = node.run(pod_id, node.container(busybox_ref, "sleep", "1000"), config)
        assert node.exec(container, "hostname").stdout.decode().strip() == config["hostname"]
        hosts = node.exec(container, "cat", "/etc/hosts").stdout.decode()
        assert all(f"{ip}\t{config['hostname']}\n" in hosts for ip in own)
        shown = node.exec(container, "ip", "addr").stdout.decode()
        assert all(f"{ip}/" in shown for ip in own)
        # It has the way out, and is reached from the host.
        assert node.exec(container, "ping", "-c1", "-w5", _gateway(own[0])).exit_code == 0
        with pytest.raises(ConnectionRefusedError):  # by the pod, which answers
            socket.create_connection((own[0], 81), timeout=5)
    assert len(set(addresses)) == len(addresses) == 2 * len(ids)
    for pod_id in ids:
        node.cri.call("StopPodSandbox", pod_sandbox_id=pod_id)
    assert not set(addresses) & set(node.network.reserved())


def _gateway(address: str) -> str:
    return address.rpartition(".")[0] + ".1"


def test_pods_that_want_something_of_their_own_get_it(node: Node, busybox_ref: str) -> None:
    node.pull(busybox_ref)
    waiting = full(node)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        host_port = probe.getsockname()[1]
    mapped = pod_of(node, port_mappings=[{"container_port": 8080, "host_port": host_port}])
    mapping = {"host_id": 200000, "container_id": 0, "length": 65536}
    mapped_ids = {"pid": CONTAINER, "userns_options": {"mode": POD, "uids": [mapping], "gids": [mapping]}}
    others = [
        node.pod(linux={"security_context": {"namespace_options": {"network": 2, "pid": CONTAINER}}}),
        node.pod(linux={"security_context": {"namespace_options": {"ipc": 2, "pid": CONTAINER}}}),
        pod_of(node, annotations={"io.kubernetes.cri-o.ShmSize": "1Mi"}),
        pod_of(node, linux={"sysctls": {"net.ipv4.conf.default.rp_filter": "1"}}),
    ]
    if any(handler.features.user_namespaces for handler in node.cri.call("Status").runtime_handlers):
        others.append(node.pod(linux={"security_context": {"namespace_options": mapped_ids}}))
    pod_id = node.run_pod(mapped)
    assert {pod_id, *(node.run_pod(config) for config in others)}.isdisjoint(waiting)
    assert state(node)["unfit"] == 1 + len(others)
    assert full(node) == waiting
    node.run(pod_id, node.container(busybox_ref, "nc", "-l", "-p", "8080", "-e", "echo", "hello"), mapped)
    host = socket.gethostbyname(socket.gethostname())
    address = host if not host.startswith("127.") else _gateway(node.pod_status(pod_id).network.ip)
    greeting = b""

    def greets() -> bool:
        nonlocal greeting
        try:
            with socket.create_connection((address, host_port), timeout=1) as client:
                greeting = client.recv(100)
        except OSError:
            return False
        return True

    until(greets, "the host's port leads nowhere")
    assert greeting == b"hello\n"


def test_late_sysctls_are_set(node: Node, busybox_ref: str) -> None:
    node.pull(busybox_ref)
    waiting = full(node)
    sysctls = {"net.ipv4.tcp_fin_timeout": "17", "kernel.shm_rmid_forced": "1", "net.ipv4.ping_group_range": "5 6"}
    config = pod_of(node, linux={"sysctls": sysctls})
    pod_id = node.run_pod(config)
    assert pod_id in waiting
    container = node.run(pod_id, node.container(busybox_ref, "sleep", "1000"), config)
    paths = [f"/proc/sys/{key.replace('.', '/')}" for key in (*sysctls, "net.ipv4.ip_unprivileged_port_start")]
    found = node.exec(container, "cat", *paths).stdout.decode()
    assert [line.split() for line in found.splitlines()] == [["17"], ["1"], ["5", "6"], ["0"]]


def test_a_shared_pid_namespace_and_a_refused_sysctl(node: Node) -> None:
    waiting = full(node)
    config = node.pod(linux={"sysctls": {"net.ipv4.tcp_fin_timeout": "many"}})
    with pytest.raises(Exception, match="cannot set sysctl"):
        node.run_pod(config)
    assert len(full(node) & waiting) == SIZE - 1
    assert node.run_pod(node.pod(linux={"security_context": {"namespace_options": {"pid": POD}}})) in waiting


@pytest.mark.parametrize("kill", [False, True])
def test_the_next_daemon_takes_them_over(node: Node, kill: bool) -> None:
    node.run_pod(pod_of(node))
    waiting = full(node)
    node.restart(kill=kill)
    assert full(node) == waiting
    assert node.leaks.warm_troubles() == []
    assert state(node)["ready"] == SIZE
    assert node.run_pod(pod_of(node)) in waiting


def test_a_stop_without_pods_leaves_none(node: Node) -> None:
    full(node)
    node.daemon.stop()
    assert (node.leaks.warm(), node.left()) == ([], {})
    node.daemon.start()
    full(node)


def test_a_smaller_pool_after_a_restart_and_none_after_a_reload(node: Node) -> None:
    node.run_pod(pod_of(node))
    waiting = full(node)
    node.daemon.kill()
    node.daemon.write_config(network={"warm_sandboxes": 1})
    node.daemon.start()
    assert full(node, 1) < waiting
    node.daemon.write_config(network={"warm_sandboxes": 0})
    os.kill(node.daemon.pid, signal.SIGHUP)
    full(node, 0)
    until(lambda: len(node.network.reserved()) == len(node.network.subnets), "addresses are held")
    assert state(node)["size"] == 0


def test_none_is_left_when_the_next_daemon_wants_none(node: Node) -> None:
    full(node)
    node.daemon.kill()
    node.daemon.write_config(network={"warm_sandboxes": 0})
    node.daemon.start()
    until(lambda: not node.network.reserved(), "addresses are held")
    node.assert_clean()
    assert node.leaks.warm() == []


def test_another_network_configuration_renews_them(node: Node) -> None:
    before = full(node)
    node.network.write({"type": "tuning", "sysctl": {"net.core.somaxconn": "77"}})
    until(lambda: len({one.id for one in node.leaks.warm()} - before) == SIZE, "the pool is not renewed")
    assert not before & full(node)
    assert len(node.network.reserved()) == SIZE * len(node.network.subnets)
    # A tuning plugin sets sysctls after the pod's own.
    assert node.run_pod(pod_of(node, linux={"sysctls": {"net.ipv4.tcp_fin_timeout": "17"}})) not in full(node)
    assert state(node)["unfit"] == 1


def test_a_network_that_wants_to_know_pods_gets_none(node: Node) -> None:
    full(node)
    node.network.write({"type": "portmap", "args": {"cni": {"mac": "x"}}})
    full(node, 0)
    assert "plugin portmap" in state(node)["unsafe"]
    assert node.cri.call("RunPodSandbox", config=pod_of(node)).pod_sandbox_id
    assert state(node)["unfit"] == 1


@pytest.mark.parametrize("damage", ["link", "master", "namespace", "reservation"])
def test_a_broken_one_is_not_given_away(node: Node, damage: str) -> None:
    full(node)
    ones = node.leaks.warm()
    for one in ones:
        port = next(iter(one.ports))
        if damage == "link":
            subprocess.run(["ip", "link", "delete", port], check=True)
        elif damage == "master":
            subprocess.run(["ip", "link", "set", port, "nomaster"], check=True)
        elif damage == "namespace":
            subprocess.run(["umount", f"{node.state}/sandboxes/{one.id}/ns/net"], check=True)
        else:
            for address in one.addresses:
                (node.network.data_dir / node.network.name / address).unlink()
    assert node.run_pod(pod_of(node)) not in {one.id for one in ones}
    assert state(node)["empty"] == 1
    until(lambda: not full(node) & {one.id for one in ones}, "broken ones are kept")


def test_pods_go_before_the_pool_when_addresses_are_scarce(tmp_path: Path, registry: Registry) -> None:
    with Node.made(tmp_path, registry=registry) as node:
        subnets = [subnet.replace("/24", "/29").replace("/64", "/125") for subnet in node.network.subnets]
        node.network.subnets = tuple(subnets)  # five addresses for pods
        node.network.write()
        node.daemon.write_config(network={"warm_sandboxes": 8})
        node.restart()
        full(node, 5)
        ported = [
            pod_of(node, port_mappings=[{"container_port": 80, "host_port": port, "host_ip": "127.0.0.1"}])
            for port in range(24801, 24806)
        ]
        for config in ported:
            assert node.pod_status(node.run_pod(config)).network.ip
        node.remove_pods()
        node.assert_clean()


def test_a_burst_of_pods_takes_each_of_them_once(node: Node) -> None:
    waiting = full(node)
    calls = [node.cri.start("RunPodSandbox", config=pod_of(node)) for _ in range(4 * SIZE)]
    ids = [call.result().pod_sandbox_id for call in calls]
    assert len(set(ids)) == len(ids)
    assert waiting <= set(ids)
    assert len({node.pod_status(pod_id).network.ip for pod_id in ids}) == len(ids)
    full(node)


def test_garbage_collection_leaves_them_alone(tmp_path: Path, registry: Registry) -> None:
    """A start collects garbage, with 1.1.0 also by the plugins."""
    network = {"warm_sandboxes": SIZE, "bin_dirs": [str(tmp_path)]}
    with Node.made(tmp_path, registry=registry, network=network) as node:
        node.network.write(version="1.1.0")
        node.restart()
        pod_id = node.run_pod(pod_of(node))
        waiting = full(node)
        node.restart(kill=True)
        assert full(node) == waiting
        assert node.leaks.warm_troubles() == []
        info = json.loads(node.cri.call("PodSandboxStatus", pod_sandbox_id=pod_id, verbose=True).info["info"])
        cached = json.loads((node.root / f"network/results/{node.network.name}-{pod_id}-eth0").read_bytes())
        assert cached["containerId"] == pod_id
        assert cached["netns"] == info["netns"] == f"{node.state}/sandboxes/{pod_id}/ns/net"
        node.remove_pods()
        node.assert_clean()
