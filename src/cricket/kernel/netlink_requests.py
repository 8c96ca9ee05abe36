"""Changes that rtnetlink(7) makes, as messages for `Netlink.batch`. Addresses are packed bytes (4 or 16)."""

from __future__ import annotations

import socket
from typing import NamedTuple

from cricket.kernel import netlink_wire as wire
from cricket.kernel.netlink_wire import attribute, attribute_text, attribute_u32

_BOOT, _UNICAST = 3, 1  # what `ip route` uses: RTPROT_BOOT, RTN_UNICAST
MAIN = 254  # RT_TABLE_MAIN
SCOPE_UNIVERSE, SCOPE_LINK, SCOPE_HOST, SCOPE_NOWHERE = 0, 253, 254, 255


class Request(NamedTuple):
    """One message: what it is for goes into errors; `forgive` are the numbers of errors that are none."""

    kind: int
    flags: int
    body: bytes
    what: str
    where: str = ""
    forgive: tuple[int, ...] = ()


def get_link(name: str) -> Request:
    """Answers with one link, for `netlink_wire.link`."""
    body = wire.LINK.pack(0, 0, 0, 0, 0) + attribute_text(wire.IFLA_IFNAME, name)
    body += attribute_u32(wire.IFLA_EXT_MASK, wire.RTEXT_FILTER_SKIP_STATS)
    return Request(wire.RTM_GETLINK, wire.F_ACK, body, "look up the network interface", name)


def new_bridge(name: str, *, mtu: int = 0) -> Request:
    """Make a bridge; `mtu` 0 leaves it to the kernel. Fails with EEXIST."""
    body = wire.LINK.pack(0, 0, 0, 0, 0) + attribute_text(wire.IFLA_IFNAME, name)
    if mtu:
        body += attribute_u32(wire.IFLA_MTU, mtu)
    body += attribute(wire.IFLA_LINKINFO, attribute(wire.IFLA_INFO_KIND, b"bridge"))
    return _create(wire.RTM_NEWLINK, body, "create the bridge", name)


class End(NamedTuple):
    """One end of a veth pair. `mac` packed, b"" for a random one; `mtu` 0 and `txqlen` None leave it to the kernel.

    Only the near end may be made `up`; the far one has no peer yet when the kernel makes it.
    """

    name: str
    mtu: int = 0
    mac: bytes = b""
    up: bool = False
    txqlen: int | None = None
    netns_fd: int = -1  # -1: the socket's own namespace


def new_veth(here: End, there: End, *, master: int = 0) -> Request:
    """Make a veth pair, `here` in the socket's namespace and on the bridge with index `master`. Fails with EEXIST."""
    peer = attribute(wire.VETH_INFO_PEER, _end(there))
    info = attribute(wire.IFLA_INFO_KIND, b"veth") + attribute(wire.IFLA_INFO_DATA, peer)
    body = _end(here) + attribute(wire.IFLA_LINKINFO, info)
    if master:
        body += attribute_u32(wire.IFLA_MASTER, master)
    return _create(wire.RTM_NEWLINK, body, f"create the pair {here.name} and {there.name}", here.name)


def _end(end: End) -> bytes:
    up = wire.IFF_UP if end.up else 0
    body = wire.LINK.pack(0, 0, 0, up, up) + attribute_text(wire.IFLA_IFNAME, end.name)
    if end.mtu:
        body += attribute_u32(wire.IFLA_MTU, end.mtu)
    if end.txqlen is not None:
        body += attribute_u32(wire.IFLA_TXQLEN, end.txqlen)
    if end.mac:
        body += attribute(wire.IFLA_ADDRESS, end.mac)
    if end.netns_fd >= 0:
        body += attribute_u32(wire.IFLA_NET_NS_FD, end.netns_fd)
    return body


def set_link(
    name: str = "",
    *,
    ifindex: int = 0,
    flags: int = 0,
    mask: int = 0,
    mac: bytes = b"",
    mtu: int = 0,
    txqlen: int | None = None,
    master: int | None = None,
    alias: str = "",
) -> Request:
    """Change a link that is named by `name` or `ifindex`; what is left at its default stays. Fails with ENODEV.

    The bits of `mask` are set as in `flags` (IFF_UP, IFF_PROMISC, IFF_ALLMULTI). `master` 0 takes it off its bridge.
    """
    body = wire.LINK.pack(0, 0, ifindex, flags, mask)
    if not ifindex:
        body += attribute_text(wire.IFLA_IFNAME, name)
    if mac:
        body += attribute(wire.IFLA_ADDRESS, mac)
    if mtu:
        body += attribute_u32(wire.IFLA_MTU, mtu)
    if txqlen is not None:
        body += attribute_u32(wire.IFLA_TXQLEN, txqlen)
    if master is not None:
        body += attribute_u32(wire.IFLA_MASTER, master)
    if alias:
        body += attribute(wire.IFLA_IFALIAS, alias.encode())
    verb = "change"
    if mask == wire.IFF_UP:
        verb = "bring up" if flags else "take down"
    return Request(wire.RTM_NEWLINK, wire.F_ACK, body, f"{verb} the network interface", name or str(ifindex))


def set_port(ifindex: int, *, hairpin: bool | None = None, isolated: bool | None = None) -> Request:
    """Change a port of a bridge; None stays."""
    flags = b""
    if hairpin is not None:
        flags += attribute(wire.IFLA_BRPORT_MODE, bytes([hairpin]))
    if isolated is not None:
        flags += attribute(wire.IFLA_BRPORT_ISOLATED, bytes([isolated]))
    body = wire.LINK.pack(socket.AF_BRIDGE, 0, ifindex, 0, 0) + attribute(wire.IFLA_PROTINFO | wire.NLA_F_NESTED, flags)
    return Request(wire.RTM_SETLINK, wire.F_ACK, body, "change the bridge's port", str(ifindex))


def delete_link(name: str = "", *, ifindex: int = 0) -> Request:
    """Remove a link, and the other end of a pair. Fails with ENODEV."""
    body = wire.LINK.pack(0, 0, ifindex, 0, 0)
    if not ifindex:
        body += attribute_text(wire.IFLA_IFNAME, name)
    return Request(wire.RTM_DELLINK, wire.F_ACK, body, "delete the network interface", name or str(ifindex))


def add_address(ifindex: int, address: bytes, prefix: int) -> Request:
    """Give a link an address, with the subnet's broadcast address for IPv4. Fails with EEXIST."""
    body = _address(ifindex, address, prefix)
    if len(address) == 4 and prefix < 31:
        host_bits = (1 << (32 - prefix)) - 1
        broadcast = int.from_bytes(address, "big") | host_bits
        body += attribute(wire.IFA_BROADCAST, broadcast.to_bytes(4, "big"))
    return _create(wire.RTM_NEWADDR, body, f"add the address {wire.ip(address)}/{prefix}", "")


def delete_address(ifindex: int, address: bytes, prefix: int) -> Request:
    """Take an address away."""
    body = _address(ifindex, address, prefix)
    return Request(wire.RTM_DELADDR, wire.F_ACK, body, f"remove the address {wire.ip(address)}/{prefix}")


def _address(ifindex: int, address: bytes, prefix: int) -> bytes:
    body = wire.ADDR.pack(_family(address), prefix, 0, 0, ifindex)
    return body + attribute(wire.IFA_LOCAL, address) + attribute(wire.IFA_ADDRESS, address)


def add_route(
    ifindex: int,
    destination: bytes,
    prefix: int,
    *,
    gateway: bytes = b"",
    source: bytes = b"",
    scope: int = SCOPE_UNIVERSE,
    table: int = MAIN,
    priority: int = 0,
    exclusive: bool = True,
) -> Request:
    """Add a route; not `exclusive` allows one beside another with a different next hop."""
    flags = wire.F_ACK | wire.F_CREATE | (wire.F_EXCL if exclusive else 0)
    short = table if table < 256 else 0
    head = wire.ROUTE.pack(_family(destination), prefix, 0, 0, short, _BOOT, scope, _UNICAST, 0)
    body = head + attribute(wire.RTA_DST, destination)
    if gateway:
        body += attribute(wire.RTA_GATEWAY, gateway)
    if source:
        body += attribute(wire.RTA_PREFSRC, source)
    if priority:
        body += attribute_u32(wire.RTA_PRIORITY, priority)
    if table > 255:
        body += attribute_u32(wire.RTA_TABLE, table)
    body += attribute_u32(wire.RTA_OIF, ifindex)
    return Request(wire.RTM_NEWROUTE, flags, body, f"add the route to {wire.ip(destination)}/{prefix}")


def delete_route(ifindex: int, destination: bytes, prefix: int) -> Request:
    """Remove the route of the main table to `destination` over a link."""
    body = wire.ROUTE.pack(_family(destination), prefix, 0, 0, MAIN, 0, SCOPE_NOWHERE, 0, 0)
    body += attribute(wire.RTA_DST, destination) + attribute_u32(wire.RTA_OIF, ifindex)
    return Request(wire.RTM_DELROUTE, wire.F_ACK, body, f"remove the route to {wire.ip(destination)}/{prefix}")


def _create(kind: int, body: bytes, what: str, where: str) -> Request:
    return Request(kind, wire.F_ACK | wire.F_CREATE | wire.F_EXCL, body, what, where)


def _family(address: bytes) -> int:
    return socket.AF_INET if len(address) == 4 else socket.AF_INET6
