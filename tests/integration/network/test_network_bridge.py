"""Debian's plugins as they are: bridge, host-local, portmap, bandwidth and others, in namespaces of the test."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import threading
from pathlib import Path
from typing import Any

import pytest
from network_scene import Net, config

from cricket.errors import InvalidArgument
from cricket.kernel.namespaces import in_netns, unpin
from cricket.kernel.netlink import Address, Link, Netlink
from cricket.network import stats
from cricket.types.sandbox import PortMapping, Protocol

pytestmark = pytest.mark.root


def addresses(netns: str) -> dict[str, list[Address]]:
    """Addresses by interface name inside a namespace."""

    def work() -> tuple[list[Link], list[Address]]:
        with Netlink() as netlink:
            return netlink.links(), netlink.addresses()

    links, found = in_netns(netns, work)
    return {link.name: [a for a in found if a.ifindex == link.ifindex] for link in links if link.up}


def greeter(netns: str, family: int = socket.AF_INET, port: int = 8080) -> socket.socket:
    """A server in the namespace that says hello to each client until it is closed."""

    def listen() -> socket.socket:
        server = socket.socket(family, socket.SOCK_STREAM)
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind(("::" if family == socket.AF_INET6 else "0.0.0.0", port))
        server.listen()
        return server

    server = in_netns(netns, listen)

    def serve() -> None:
        while True:
            try:
                client, _ = server.accept()
            except OSError:
                return
            client.sendall(b"hello")
            client.close()

    threading.Thread(target=serve, daemon=True).start()
    return server


def fetch(host: str, port: int) -> bytes:
    with socket.create_connection((host, port), timeout=5) as client:
        client.settimeout(5)
        return client.recv(100)


def output(*argv: str) -> str:
    return subprocess.run(argv, capture_output=True, check=True, text=True).stdout


def stop(server: socket.socket) -> None:
    server.shutdown(socket.SHUT_RDWR)
    server.close()


async def test_bridge_gives_an_address_and_a_way(net: Net) -> None:
    net.write(net.bridge_plugin(ipMasq=True))
    network = net.network()
    sandbox, netns = net.sandbox()
    result = await network.setup(sandbox, netns, config())
    assert result.ips == (f"10.198.{net.third}.2",)
    assert net.reserved() == list(result.ips)
    inside = addresses(netns)
    assert [a.address for a in inside["lo"]] == ["127.0.0.1", "::1"]
    assert result.ips[0] in [a.address for a in inside["eth0"]]
    server = greeter(netns)
    assert await asyncio.to_thread(fetch, result.ips[0], 8080) == b"hello"
    stop(server)
    [eth0] = await asyncio.to_thread(stats.interfaces, netns)
    assert eth0.name == "eth0" and eth0.rx_packets > 0 and eth0.tx_bytes > 0
    await network.check(sandbox, netns, config())
    for _ in range(2):
        await network.teardown(sandbox, netns, config())
    assert net.cached() == [] and "eth0" not in addresses(netns)


async def test_the_cache_is_as_libcni_writes_it(net: Net) -> None:
    net.write(net.bridge_plugin())
    network = net.network()
    sandbox, netns = net.sandbox()
    await network.setup(sandbox, netns, config())
    [file] = net.cached()
    assert file.name == f"{net.name}-{sandbox}-eth0"
    assert file.stat().st_mode & 0o777 == 0o600
    body = json.loads(file.read_text())
    assert body["kind"] == "cniCacheV1" and body["containerId"] == sandbox and body["ifName"] == "eth0"
    assert body["networkName"] == net.name and body["netns"] == netns
    assert ["K8S_POD_NAME", "pod"] in body["cniArgs"] and body["result"]["cniVersion"] == "1.0.0"
    await network.teardown(sandbox, netns, config())


@pytest.mark.parametrize("protocol", [Protocol.TCP, Protocol.UDP])
async def test_hostport_is_reachable_by_loopback(net: Net, protocol: Protocol) -> None:
    net.write(net.bridge_plugin(), {"type": "portmap", "capabilities": {"portMappings": True}, "snat": True})
    network = net.network()
    sandbox, netns = net.sandbox()
    port = 20000 + net.third
    mapping = PortMapping(protocol=protocol, container_port=8080, host_port=port, host_ip="127.0.0.1")
    asked = config(port_mappings=(mapping, PortMapping(container_port=9)))
    await network.setup(sandbox, netns, asked)
    if protocol == Protocol.TCP:
        server = greeter(netns)
        assert await asyncio.to_thread(fetch, "127.0.0.1", port) == b"hello"
        stop(server)
    else:
        rules = output("iptables-save", "-t", "nat")
        assert any("-p udp" in r and f"--dport {port}" in r and "DNAT" in r for r in rules.splitlines())
    # No cached result, as if the cache was lost: the mapping must go all the same.
    net.cached()[0].unlink()
    await network.teardown(sandbox, netns, asked)


async def test_bandwidth_annotations_shape_the_interface(net: Net) -> None:
    net.write(net.bridge_plugin(), {"type": "bandwidth", "capabilities": {"bandwidth": True}})
    network = net.network()
    sandbox, netns = net.sandbox()
    asked = config(annotations={"kubernetes.io/ingress-bandwidth": "10M", "kubernetes.io/egress-bandwidth": "2M"})
    result = await network.setup(sandbox, netns, asked)
    interfaces: Any = result.result["interfaces"]
    host = next(i["name"] for i in interfaces if not i.get("sandbox") and i["name"] != net.bridge)
    shown = output("tc", "qdisc", "show", "dev", host)
    assert "tbf" in shown and "rate 10Mbit" in shown
    await network.teardown(sandbox, netns, asked)
    with pytest.raises(InvalidArgument, match="ingress-bandwidth"):
        await network.setup(sandbox, netns, config(annotations={"kubernetes.io/ingress-bandwidth": "fast"}))


@pytest.mark.parametrize(("preference", "first_is_six"), [("cni", False), ("ipv4", False), ("ipv6", True)])
async def test_dual_stack(net: Net, preference: str, first_is_six: bool) -> None:
    net.write(net.bridge_plugin(net.subnet, net.subnet6))
    network = net.network(ip_preference=preference)
    sandbox, netns = net.sandbox()
    result = await network.setup(sandbox, netns, config())
    assert len(result.ips) == 2 and (":" in result.ips[0]) == first_is_six
    server = greeter(netns, socket.AF_INET6)
    six = next(i for i in result.ips if ":" in i)
    assert await asyncio.to_thread(fetch, six, 8080) == b"hello"
    stop(server)
    await network.teardown(sandbox, netns, config())


@pytest.mark.parametrize("version", ["0.3.1", "0.4.0", "1.0.0"])
async def test_every_version_and_the_whole_chain(net: Net, version: str) -> None:
    net.write(
        net.bridge_plugin(ipMasq=True),
        {"type": "tuning", "sysctl": {"net.core.somaxconn": "500"}, "capabilities": {"mac": True}},
        {"type": "portmap", "capabilities": {"portMappings": True}},
        *([{"type": "firewall"}] if version != "0.3.1" else []),  # Debian's does not speak it
        cniVersion=version,
    )
    network = net.network()
    sandbox, netns = net.sandbox()
    asked = config(annotations={"network.cricket.dev/mac": "c2:11:22:33:44:55"})
    result = await network.setup(sandbox, netns, asked)
    assert result.result["cniVersion"] == version
    assert (await asyncio.to_thread(in_netns, netns, _eth0_mac)) == "c2:11:22:33:44:55"
    if version == "1.0.0":  # firewall 1.1.1 answers CHECK of 0.4.0 with an error of its own
        await network.check(sandbox, netns, asked)
    await network.teardown(sandbox, netns, asked)


def _eth0_mac() -> str:
    with Netlink() as netlink:
        return next(link.mac for link in netlink.links() if link.name == "eth0")


async def test_the_newest_version_that_the_plugins_speak(net: Net) -> None:
    net.write(net.bridge_plugin(), cniVersion="0.4.0", cniVersions=["0.3.1", "0.4.0", "1.0.0", "1.1.0", "9.0.0"])
    network = net.network()
    sandbox, netns = net.sandbox()
    result = await network.setup(sandbox, netns, config())
    assert result.result["cniVersion"] == "1.0.0"
    await network.check(sandbox, netns, config())
    await network.teardown(sandbox, netns, config())


@pytest.mark.parametrize("kind", ["ptp", "macvlan"])
async def test_other_interface_plugins(net: Net, kind: str) -> None:
    ipam = net.bridge_plugin()["ipam"]
    if kind == "macvlan":
        ipam = {"type": "static", "addresses": [{"address": f"10.198.{net.third}.9/24"}]}
    output("ip", "link", "add", net.bridge, "type", "bridge")
    net.write({"type": kind, "ipam": ipam, **({"master": net.bridge} if kind == "macvlan" else {})})
    network = net.network()
    sandbox, netns = net.sandbox()
    result = await network.setup(sandbox, netns, config())
    assert result.ips[0] in [a.address for a in addresses(netns)["eth0"]]
    await network.check(sandbox, netns, config())
    await network.teardown(sandbox, netns, config())


async def test_many_sandboxes_at_once(net: Net) -> None:
    net.write(net.bridge_plugin())
    network = net.network()
    boxes = [net.sandbox() for _ in range(6)]
    results = await asyncio.gather(*(network.setup(i, n, config()) for i, n in boxes))
    assert len({r.ips for r in results}) == 6
    await asyncio.gather(*(network.teardown(i, n, config()) for i, n in boxes))
    assert net.cached() == []


async def test_delete_when_the_namespace_is_gone(net: Net, tmp_path: Path) -> None:
    net.write(net.bridge_plugin(), {"type": "portmap", "capabilities": {"portMappings": True}})
    network = net.network()
    sandbox, netns = net.sandbox()
    asked = config(port_mappings=(PortMapping(container_port=80, host_port=20300 + net.third),))
    await network.setup(sandbox, netns, asked)
    unpin([netns])
    Path(netns).touch()  # what a reboot leaves on a disk: the file without the mount
    await network.teardown(sandbox, netns, asked)
    assert net.cached() == []


async def test_delete_after_a_restart_without_any_configuration(net: Net) -> None:
    file = net.write(net.bridge_plugin(ipMasq=True))
    sandbox, netns = net.sandbox()
    await net.network().setup(sandbox, netns, config())
    file.unlink()
    await net.network().teardown(sandbox, netns, None)
    assert net.cached() == []


async def test_host_network_does_nothing(net: Net) -> None:
    network = net.network()
    assert (await network.setup("host", "", config())).ips == ()
    await network.teardown("host", "", config())
