"""rtnetlink(7) on the wire: headers, attributes, and what links, addresses and routes look like."""

from __future__ import annotations

import socket
import struct
import sys
from collections.abc import Iterator
from typing import NamedTuple

IFF_UP, IFF_LOOPBACK, IFF_RUNNING, IFF_PROMISC, IFF_ALLMULTI = 0x1, 0x8, 0x40, 0x100, 0x200
OPER_UP = 6  # IFLA_OPERSTATE of a link that carries traffic
IFA_F_DADFAILED, IFA_F_TENTATIVE = 0x08, 0x40

RTM_NEWLINK, RTM_DELLINK, RTM_GETLINK, RTM_SETLINK = 16, 17, 18, 19
RTM_NEWADDR, RTM_DELADDR, RTM_GETADDR = 20, 21, 22
RTM_NEWROUTE, RTM_DELROUTE, RTM_GETROUTE = 24, 25, 26
NLMSG_ERROR, NLMSG_DONE = 2, 3
F_REQUEST, F_ACK, F_DUMP, F_DUMP_INTR = 0x1, 0x4, 0x300, 0x10
F_EXCL, F_CREATE = 0x200, 0x400
F_CAPPED, F_ACK_TLVS = 0x100, 0x200  # on an NLMSG_ERROR
NLA_F_NESTED = 0x8000

IFLA_ADDRESS, IFLA_IFNAME, IFLA_MTU, IFLA_LINK, IFLA_MASTER = 1, 3, 4, 5, 10
IFLA_PROTINFO, IFLA_TXQLEN, IFLA_OPERSTATE, IFLA_LINKINFO, IFLA_IFALIAS = 12, 13, 16, 18, 20
IFLA_STATS64, IFLA_NET_NS_FD, IFLA_EXT_MASK, IFLA_PROMISCUITY = 23, 28, 29, 30
RTEXT_FILTER_SKIP_STATS = 1 << 3
IFLA_INFO_KIND, IFLA_INFO_DATA, IFLA_INFO_SLAVE_DATA = 1, 2, 5
VETH_INFO_PEER = 1
IFLA_BRPORT_MODE, IFLA_BRPORT_ISOLATED = 4, 33  # MODE is what people call hairpin
IFA_ADDRESS, IFA_LOCAL, IFA_BROADCAST, IFA_FLAGS = 1, 2, 4, 8
RTA_DST, RTA_OIF, RTA_GATEWAY, RTA_PRIORITY, RTA_PREFSRC, RTA_TABLE = 1, 4, 5, 6, 7, 15
NLMSGERR_ATTR_MSG = 1

HEAD = struct.Struct("=IHHII")  # nlmsghdr: length, type, flags, sequence, port
LINK = struct.Struct("=BxHiII")  # ifinfomsg: family, type, index, flags, change mask
ADDR = struct.Struct("=BBBBi")  # ifaddrmsg: family, prefix length, flags, scope, index
ROUTE = struct.Struct("=BBBBBBBBI")  # rtmsg: family, dst_len, src_len, tos, table, protocol, scope, type, flags
ATTR = struct.Struct("=HH")
U32 = struct.Struct("=I")
COUNTERS = struct.Struct("=8Q")  # the first eight of rtnl_link_stats64


class Counters(NamedTuple):
    """Since the link was made; in the kernel's order (struct rtnl_link_stats64)."""

    rx_packets: int = 0
    tx_packets: int = 0
    rx_bytes: int = 0
    tx_bytes: int = 0
    rx_errors: int = 0
    tx_errors: int = 0
    rx_dropped: int = 0
    tx_dropped: int = 0


class Link(NamedTuple):
    """A network interface. `mac` is "" when it has none, `kind` as in `ip link add type`, `master` an index or 0.

    `peer` is the other end's index (of a veth: in the other end's namespace), `operstate` RFC 2863's, `promiscuity`
    how many users want it promiscuous; `hairpin` and `isolated` are those of a bridge's port.
    """

    ifindex: int
    name: str
    flags: int
    mtu: int
    mac: str
    kind: str
    master: int
    counters: Counters
    peer: int = 0
    operstate: int = 0
    txqlen: int = 0
    promiscuity: int = 0
    hairpin: bool = False
    isolated: bool = False

    @property
    def up(self) -> bool:
        """Whether it is administratively up."""
        return bool(self.flags & IFF_UP)


class Address(NamedTuple):
    """An IP address of the link `ifindex`."""

    ifindex: int
    address: str
    prefix: int
    flags: int = 0


class Route(NamedTuple):
    """A route; `destination` "" is the default route, `gateway` "" means on-link. `type` 1 is unicast, 2 local."""

    family: int
    destination: str
    prefix: int
    gateway: str
    ifindex: int
    table: int
    type: int


def attribute(kind: int, value: bytes) -> bytes:
    """One attribute, padded."""
    return ATTR.pack(ATTR.size + len(value), kind) + value + b"\0" * (-len(value) % 4)


def attribute_u32(kind: int, value: int) -> bytes:
    """An attribute that holds a 32-bit number."""
    return ATTR.pack(8, kind) + U32.pack(value)


def attribute_text(kind: int, value: str) -> bytes:
    """An attribute that holds a C string."""
    return attribute(kind, value.encode() + b"\0")


def attributes(data: bytes, at: int = 0) -> dict[int, bytes]:
    """Attributes by kind; of those that are there twice the last."""
    found: dict[int, bytes] = {}
    while at + ATTR.size <= len(data):
        length, kind = ATTR.unpack_from(data, at)
        if length < ATTR.size:
            break
        found[kind & 0x3FFF] = data[at + ATTR.size : at + length]  # the two high bits are flags
        at += (length + 3) & ~3
    return found


def messages(data: bytes) -> Iterator[tuple[int, int, int, bytes]]:
    """(type, flags, sequence, payload) of each message in a datagram."""
    at = 0
    while at + HEAD.size <= len(data):
        length, kind, flags, sequence, _port = HEAD.unpack_from(data, at)
        if length < HEAD.size:
            return
        yield kind, flags, sequence, data[at + HEAD.size : at + length]
        at += (length + 3) & ~3


def error(payload: bytes, flags: int) -> tuple[int, str]:
    """(errno, or 0 for success; the kernel's words, if it has any) of an NLMSG_ERROR or NLMSG_DONE."""
    number = -struct.unpack_from("=i", payload)[0] if len(payload) >= 4 else 0
    if not number or not flags & F_ACK_TLVS:
        return number, ""
    at = 4 + HEAD.size
    if not flags & F_CAPPED and len(payload) >= at:
        at = 4 + ((U32.unpack_from(payload, 4)[0] + 3) & ~3)
    return number, text(attributes(payload, at).get(NLMSGERR_ATTR_MSG, b""))


def u32(found: dict[int, bytes], kind: int, default: int = 0) -> int:
    """A number among attributes."""
    value = found.get(kind)
    return int.from_bytes(value[:4], sys.byteorder) if value else default


def text(value: bytes) -> str:
    """A C string."""
    return value.rstrip(b"\0").decode("utf-8", "replace")


def ip(value: bytes) -> str:
    """An address, "" for what is none."""
    if len(value) not in (4, 16):
        return ""
    return socket.inet_ntop(socket.AF_INET if len(value) == 4 else socket.AF_INET6, value)


def link(payload: bytes) -> Link:
    """A link from the payload of RTM_NEWLINK or RTM_DELLINK."""
    _family, _type, ifindex, flags, _change = LINK.unpack_from(payload)
    a = attributes(payload, LINK.size)
    stats = a.get(IFLA_STATS64, b"")
    info = attributes(a.get(IFLA_LINKINFO, b""))
    port = attributes(info.get(IFLA_INFO_SLAVE_DATA, b""))
    return Link(
        ifindex=ifindex,
        name=text(a.get(IFLA_IFNAME, b"")),
        flags=flags,
        mtu=u32(a, IFLA_MTU),
        mac=a.get(IFLA_ADDRESS, b"").hex(":"),
        kind=text(info.get(IFLA_INFO_KIND, b"")),
        master=u32(a, IFLA_MASTER),
        counters=Counters(*COUNTERS.unpack_from(stats)) if len(stats) >= COUNTERS.size else Counters(),
        peer=u32(a, IFLA_LINK),
        operstate=a.get(IFLA_OPERSTATE, b"\0")[0],
        txqlen=u32(a, IFLA_TXQLEN),
        promiscuity=u32(a, IFLA_PROMISCUITY),
        hairpin=port.get(IFLA_BRPORT_MODE, b"\0") != b"\0",
        isolated=port.get(IFLA_BRPORT_ISOLATED, b"\0") != b"\0",
    )


def address(payload: bytes) -> Address:
    """An address from the payload of RTM_NEWADDR."""
    _family, prefix, flags, _scope, ifindex = ADDR.unpack_from(payload)
    a = attributes(payload, ADDR.size)
    # On a point-to-point link IFA_ADDRESS is the peer's; IFA_LOCAL, where there is one, is always ours.
    return Address(ifindex, ip(a.get(IFA_LOCAL, a.get(IFA_ADDRESS, b""))), prefix, u32(a, IFA_FLAGS, flags))


def route(payload: bytes) -> Route:
    """A route from the payload of RTM_NEWROUTE."""
    family, prefix, _src, _tos, table, _protocol, _scope, kind, _flags = ROUTE.unpack_from(payload)
    a = attributes(payload, ROUTE.size)
    return Route(
        family=family,
        destination=ip(a.get(RTA_DST, b"")),
        prefix=prefix,
        gateway=ip(a.get(RTA_GATEWAY, b"")),
        ifindex=u32(a, RTA_OIF),
        table=u32(a, RTA_TABLE, table),
        type=kind,
    )
