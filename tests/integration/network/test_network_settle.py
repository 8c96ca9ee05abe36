"""Duplicate address detection: waited for where IPv6 and a gateway ask for it, and free for everybody else."""

from __future__ import annotations

from typing import Any

import pytest
from network_scene import Net, config

from cricket.kernel import netlink_wire as wire
from cricket.kernel.namespaces import in_netns
from cricket.kernel.netlink import Address, Netlink
from cricket.network.builtin import configure

pytestmark = pytest.mark.root


def _addresses(netns: str) -> list[Address]:
    def work() -> list[Address]:
        with Netlink() as netlink:
            link = netlink.link("eth0")
            return [a for a in netlink.addresses(link.ifindex) if ":" in a.address]

    return in_netns(netns, work)


async def test_a_pod_with_ipv4_only_waits_for_nothing(net: Net, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: Any) -> None:
        raise AssertionError("it waits for IPv6")

    monkeypatch.setattr(configure, "settle", never)
    net.write(net.bridge_plugin())
    sandbox, netns = net.sandbox()
    network = net.network()
    assert (await network.setup(sandbox, netns, config())).ips
    await network.teardown(sandbox, netns, config())


@pytest.mark.parametrize("detect", [False, True])
async def test_ipv6_addresses_are_settled_when_the_pod_has_them(net: Net, detect: bool) -> None:
    """As the standard plugin: without `enabledad` nothing is detected, with it nothing is tentative afterwards."""
    net.write(net.bridge_plugin(net.subnet, net.subnet6, enabledad=detect))
    sandbox, netns = net.sandbox()
    network = net.network()
    result = await network.setup(sandbox, netns, config())
    found = _addresses(netns)
    assert set(result.ips) & {a.address for a in found}
    assert not [a for a in found if a.flags & (wire.IFA_F_TENTATIVE | wire.IFA_F_DADFAILED)]
    await network.teardown(sandbox, netns, config())
