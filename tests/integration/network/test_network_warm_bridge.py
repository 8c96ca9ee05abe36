"""Warm attachments on a real bridge: whole until something is taken from them, and undone by the id alone."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

import pytest
from network_scene import Net, config

from cricket.kernel.namespaces import unpin
from cricket.network.network import Network, NetworkResult
from cricket.network.warm import Terms, intact
from cricket.types.sandbox import PortMapping

pytestmark = pytest.mark.root


async def _terms(network: Network) -> Terms:
    found = await network.warm_terms()
    assert isinstance(found, Terms), found
    return found


def _port(result: NetworkResult) -> str:
    interfaces = result.result["interfaces"]
    assert isinstance(interfaces, list)
    return str(interfaces[1]["name"])


async def test_it_is_what_the_pod_would_have_got(net: Net) -> None:
    """CHECK, DEL and GC go by the sandbox's id, as after `setup`; a new daemon knows it, too."""
    net.write(net.bridge_plugin(ipMasq=True), {"type": "portmap", "capabilities": {"portMappings": True}})
    network = net.network()
    terms = await _terms(network)
    sandbox, netns = net.sandbox()
    result = await network.setup_warm(sandbox, netns, terms)
    assert intact(sandbox, netns, result.result, terms) == ""
    assert network.fits(config(), terms)
    assert not network.fits(config(port_mappings=(PortMapping(container_port=80, host_port=8099),)), terms)
    later = net.network()
    await later.check(sandbox, netns, config())
    await later.gc([(sandbox, "eth0")])
    assert net.reserved() == list(result.ips)
    # A retry of setup, as a kubelet's after an interrupted one, starts afresh.
    again = await later.setup(sandbox, netns, config())
    assert (len(net.reserved()), len(net.cached())) == (1, 1)
    await later.check(sandbox, netns, config())
    await later.teardown(sandbox, netns, None)
    assert (net.reserved(), net.cached()) == ([], [])
    assert again.network == result.network


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (lambda net, netns, port: unpin([netns]), "namespace"),
        (lambda net, netns, port: subprocess.run(["ip", "link", "delete", port], check=True), "interface"),
        (lambda net, netns, port: subprocess.run(["ip", "link", "set", port, "down"], check=True), "down"),
        (lambda net, netns, port: subprocess.run(["ip", "link", "set", net.bridge, "down"], check=True), "down"),
        (lambda net, netns, port: subprocess.run(["ip", "link", "set", port, "nomaster"], check=True), "where it was"),
        (lambda net, netns, port: _inside(netns, "link", "set", "eth0", "down"), "carrier"),
        (lambda net, netns, port: [p.unlink() for p in (net.data_dir / net.name).glob("10.*")], "no address"),
    ],
)
async def test_what_is_missing_is_noticed(net: Net, damage: Callable[[Net, str, str], object], told: str) -> None:
    net.write(net.bridge_plugin())
    network = net.network()
    terms = await _terms(network)
    sandbox, netns = net.sandbox()
    result = await network.setup_warm(sandbox, netns, terms)
    damage(net, netns, _port(result))
    assert told in intact(sandbox, netns, result.result, terms)
    await network.teardown(sandbox, netns, None)


def _inside(netns: str, *words: str) -> None:
    subprocess.run(["nsenter", f"--net={netns}", "ip", *words], check=True)


async def test_point_to_point_and_bandwidth_are_warm_too(net: Net) -> None:
    ptp = {"type": "ptp", "ipam": net.bridge_plugin()["ipam"]}
    net.write(ptp, {"type": "bandwidth", "egressRate": 10**6, "egressBurst": 10**6})
    network = net.network()
    terms = await _terms(network)
    sandbox, netns = net.sandbox()
    result = await network.setup_warm(sandbox, netns, terms)
    assert intact(sandbox, netns, result.result, terms) == ""
    await network.check(sandbox, netns, config())
    await network.teardown(sandbox, netns, None)
    assert (net.reserved(), net.cached()) == ([], [])


async def test_who_is_told_of_another_network(net: Net) -> None:
    net.write(net.bridge_plugin())
    network = net.network()
    told: list[None] = []
    network.on_change(lambda: told.append(None))
    network.start_watch()
    before = len(told)
    first = await _terms(network)
    assert await _terms(network) is first
    net.write(net.bridge_plugin(mtu=1400), file="05-before.conflist")
    network.reconfigure([str(net.conf_dir)], ["/nosuch"])
    assert len(told) == before + 1
    assert (await _terms(network)).digest != first.digest
    await network.update_pod_cidr("10.7.0.0/24")
    assert len(told) == before + 2
    network.stop_watch()
