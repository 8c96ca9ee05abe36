"""The bridge plugin's host side: the bridge itself and its gateway addresses."""

from __future__ import annotations

import errno
import socket
from collections.abc import Sequence

from cricket.errors import AlreadyExists
from cricket.kernel import netlink_requests as requests
from cricket.kernel import netlink_wire as wire
from cricket.kernel.effects import effect
from cricket.kernel.netlink import IFF_UP, Link, Netlink
from cricket.network.builtin import sysctl
from cricket.network.builtin.addresses import Cidr, following, pack, unpack
from cricket.network.builtin.base import Refused


def ensure_bridge(host: Netlink, name: str, *, mtu: int, promiscuous: bool) -> Link:
    """The bridge, made when it is missing, up. Raises Refused when the name is another kind of link's."""
    bridge = host.find_link(name)
    if bridge is None:
        try:
            host.batch([requests.new_bridge(name, mtu=mtu)])
            effect("bridge create")
        except AlreadyExists:
            pass  # another pod's call was faster
        bridge = host.link(name)
    if bridge.kind != "bridge":
        raise Refused(f"the interface {name} is not a bridge but a {bridge.kind or 'real one'}")
    # Its routes are ours to make.
    sysctl.try_write(f"net/ipv6/conf/{name}/accept_ra", "0")
    flags = IFF_UP | (wire.IFF_PROMISC if promiscuous else 0)
    if bridge.flags & flags != flags:
        host.batch([requests.set_link(name, ifindex=bridge.ifindex, flags=flags, mask=flags)])
    return bridge


def ensure_gateways(host: Netlink, bridge: Link, gateways: Sequence[Cidr], *, force: bool) -> None:
    """Give the bridge its addresses, and let the host route.

    Raises Refused when it has other addresses; with `force` they are replaced.
    """
    for six in (False, True):
        wanted = [g for g in gateways if (len(g.address) == 16) == six]
        if not wanted:
            continue
        family = socket.AF_INET6 if six else socket.AF_INET
        present = [Cidr(pack(a.address), a.prefix) for a in host.addresses(bridge.ifindex, family)]
        for gateway in wanted:
            if gateway not in present:
                _add_gateway(host, bridge, gateway, present, force=force)
                present.append(gateway)
        sysctl.forward(six=six)


def _add_gateway(host: Netlink, bridge: Link, gateway: Cidr, present: list[Cidr], *, force: bool) -> None:
    # Several IPv6 subnets may live beside each other; with IPv4 the bridge has one address.
    for other in list(present):
        if len(gateway.address) == 16 and not (other.holds(gateway.address) or gateway.holds(other.address)):
            continue
        if not force:
            raise Refused(
                f"the bridge {bridge.name} has the address {other}, not {gateway}",
                "forceAddress would replace it",
            )
        host.batch([requests.delete_address(bridge.ifindex, *other)])
        present.remove(other)
    # Another pod's call may be faster.
    add = requests.add_address(bridge.ifindex, *gateway)._replace(forgive=(errno.EEXIST,))
    # A bridge takes the lowest of its ports' MACs, and pods would lose their gateway whenever that port goes: to be
    # told its own MAC makes it keep that.
    mac = bytes.fromhex(bridge.mac.replace(":", ""))
    host.batch([add, requests.set_link(bridge.name, ifindex=bridge.ifindex, mac=mac)])
    effect("bridge address")


def gateway_of(address: Cidr) -> bytes:
    """The first address of a subnet, which is the gateway where none is named."""
    return following(address.subnet.address)


def default_route(six: bool, gateway: bytes) -> dict[str, object]:
    """The default route over a gateway, as it stands in a result."""
    route: dict[str, object] = {"dst": "::/0" if six else "0.0.0.0/0"}
    if gateway:
        route["gw"] = unpack(gateway)
    return route
