"""rtnetlink against the kernel, in a namespace of the test."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from typing import TypeVar

import pytest
from network_scene import Net

from cricket.errors import NotFound
from cricket.kernel.namespaces import in_netns
from cricket.kernel.netlink import Netlink
from cricket.network import init

pytestmark = pytest.mark.root
T = TypeVar("T")


def ask(netns: str, question: Callable[[Netlink], T]) -> T:
    def work() -> T:
        with Netlink() as netlink:
            return question(netlink)

    return in_netns(netns, work)


def ip(netns: str, *argv: str) -> None:
    in_netns(netns, lambda: subprocess.run(["ip", *argv], check=True, capture_output=True))


def test_links_addresses_and_routes(net: Net) -> None:
    _, netns = net.sandbox()
    assert [(link.name, link.up) for link in ask(netns, lambda n: n.links())] == [("lo", False)]
    ip(netns, "link", "add", "v0", "type", "veth", "peer", "name", "v1")
    ip(netns, "link", "add", "br0", "type", "bridge")
    ip(netns, "link", "set", "v0", "master", "br0", "address", "c2:11:22:33:44:55", "mtu", "1400")
    ip(netns, "address", "add", "10.9.0.1/24", "dev", "br0")
    ip(netns, "address", "add", "fd00:9::1/64", "dev", "br0", "nodad")
    for name in ("lo", "v0", "v1", "br0"):
        ask(netns, lambda n, name=name: (n.set_up(name), n.set_up(name)))  # type: ignore[misc]  # tests
    links = {link.name: link for link in ask(netns, lambda n: n.links())}
    v0, br0 = links["v0"], links["br0"]
    assert (v0.kind, v0.mtu, v0.mac, v0.master, v0.up) == ("veth", 1400, "c2:11:22:33:44:55", br0.ifindex, True)
    assert br0.kind == "bridge" and links["lo"].kind == ""
    found = ask(netns, lambda n: n.addresses())
    assert {(a.address, a.prefix) for a in found if a.ifindex == br0.ifindex} >= {("10.9.0.1", 24), ("fd00:9::1", 64)}
    ip(netns, "route", "add", "default", "via", "10.9.0.2", "table", "1000")
    routes = ask(netns, lambda n: n.routes())
    assert any((r.destination, r.gateway, r.table) == ("", "10.9.0.2", 1000) for r in routes)
    assert any((r.destination, r.prefix, r.ifindex) == ("10.9.0.0", 24, br0.ifindex) for r in routes)
    used = in_netns(netns, init.host_subnets)
    assert "10.9.0.0/24" in used and "fd00:9::/64" in used and not any(u.endswith("/0") for u in used)
    ask(netns, lambda n: n.set_down("v0"))
    assert not next(link for link in ask(netns, lambda n: n.links()) if link.name == "v0").up
    ask(netns, lambda n: (n.delete_link("v0"), n.delete_link("v0")))
    assert {link.name for link in ask(netns, lambda n: n.links())} == {"lo", "br0"}


def test_a_missing_link(net: Net) -> None:
    _, netns = net.sandbox()
    with pytest.raises(NotFound, match="bring up the network interface .nope.: no such device"):
        ask(netns, lambda n: n.set_up("nope"))


def test_a_dump_of_many_links(net: Net) -> None:
    _, netns = net.sandbox()
    lines = "".join(f"link add b{i} type bridge\n" for i in range(300))
    in_netns(netns, lambda: subprocess.run(["ip", "-batch", "-"], input=lines.encode(), check=True))
    assert len(ask(netns, lambda n: n.links())) == 301


async def test_init_and_its_network(net: Net) -> None:
    """What `cricket network init` writes gives pods addresses and hostports."""
    net.conf_dir.rmdir()
    path = init.write_default(str(net.conf_dir), [net.subnet, net.subnet6], bridge=net.bridge)
    assert path == str(net.conf_dir / init.FILE)
    network = net.network()
    network.start_watch()
    assert network.condition().status
    network.stop_watch()
    assert isinstance(await init.forwarding_is_dropped(), bool)
