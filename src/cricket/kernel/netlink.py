"""A little rtnetlink(7): links with counters, addresses, routes; links up, down and away.

A socket belongs to the network namespace of the thread that made it, so inside a sandbox all of this runs in
`kernel.namespaces.in_netns`. Calls block (the kernel's RTNL lock may be held by others): not for the event loop.
"""

from __future__ import annotations

import os
import socket
import struct
import sys
from collections.abc import Iterator
from typing import NamedTuple

from cricket.errors import CricketError, Internal, NotFound, PermissionDenied, map_errors

IFF_UP, IFF_LOOPBACK, IFF_RUNNING = 0x1, 0x8, 0x40

_RTM_NEWLINK, _RTM_DELLINK, _RTM_GETLINK = 16, 17, 18
_RTM_GETADDR, _RTM_GETROUTE = 22, 26
_NLMSG_ERROR, _NLMSG_DONE = 2, 3
_F_REQUEST, _F_ACK, _F_DUMP, _F_DUMP_INTR = 0x1, 0x4, 0x300, 0x10
_IFLA_ADDRESS, _IFLA_IFNAME, _IFLA_MTU, _IFLA_MASTER, _IFLA_LINKINFO, _IFLA_STATS64 = 1, 3, 4, 10, 18, 23
_IFLA_INFO_KIND = 1
_IFA_ADDRESS, _IFA_LOCAL = 1, 2
_RTA_DST, _RTA_OIF, _RTA_GATEWAY, _RTA_TABLE = 1, 4, 5, 15

_HEAD = struct.Struct("=IHHII")  # nlmsghdr: length, type, flags, sequence, port
_LINK = struct.Struct("=BxHiII")  # ifinfomsg: family, type, index, flags, change mask
_ADDR = struct.Struct("=BBBBi")  # ifaddrmsg: family, prefix length, flags, scope, index
_ROUTE = struct.Struct("=BBBBBBBBI")  # rtmsg: family, dst_len, src_len, tos, table, protocol, scope, type, flags
_ATTR = struct.Struct("=HH")
_COUNTERS = struct.Struct("=8Q")  # the first eight of rtnl_link_stats64
_RECEIVE = 1 << 18
_TIMEOUT = 10.0
_RESTARTS = 5


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
    """A network interface. `mac` is "" when it has none, `kind` as in `ip link add type`, `master` an index or 0."""

    ifindex: int
    name: str
    flags: int
    mtu: int
    mac: str
    kind: str
    master: int
    counters: Counters

    @property
    def up(self) -> bool:
        """Whether it is administratively up."""
        return bool(self.flags & IFF_UP)


class Address(NamedTuple):
    """An IP address of the link `ifindex`."""

    ifindex: int
    address: str
    prefix: int


class Route(NamedTuple):
    """A route; `destination` "" is the default route, `gateway` "" means on-link. `type` 1 is unicast, 2 local."""

    family: int
    destination: str
    prefix: int
    gateway: str
    ifindex: int
    table: int
    type: int


class Netlink:
    """A route socket of the calling thread's network namespace; a context manager. Methods raise CricketError."""

    def __init__(self) -> None:
        with map_errors(OSError, Internal, "cannot open a netlink socket"):
            self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, 0)
            self._socket.settimeout(_TIMEOUT)
            self._socket.bind((0, 0))
        self._sequence = 0

    def __enter__(self) -> Netlink:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def links(self) -> list[Link]:
        """All links with their counters."""
        return [_link(p) for p in self._dump(_RTM_GETLINK, _LINK.pack(0, 0, 0, 0, 0), "list links")]

    def addresses(self) -> list[Address]:
        """All addresses, IPv4 and IPv6."""
        return [_address(p) for p in self._dump(_RTM_GETADDR, _ADDR.pack(0, 0, 0, 0, 0), "list addresses")]

    def routes(self) -> list[Route]:
        """All routes of all tables, IPv4 and IPv6."""
        payloads = self._dump(_RTM_GETROUTE, _ROUTE.pack(0, 0, 0, 0, 0, 0, 0, 0, 0), "list routes")
        return [_route(p) for p in payloads if p[0] in (socket.AF_INET, socket.AF_INET6)]

    def set_up(self, name: str) -> None:
        """Bring a link up. Idempotent. Raises NotFound."""
        self._change(_RTM_NEWLINK, name, IFF_UP, "bring up")

    def set_down(self, name: str) -> None:
        """Take a link down. Idempotent. Raises NotFound."""
        self._change(_RTM_NEWLINK, name, 0, "take down")

    def delete_link(self, name: str) -> None:
        """Remove a link. Idempotent: a missing one is no error."""
        try:
            self._change(_RTM_DELLINK, name, 0, "delete")
        except NotFound:
            pass

    def _change(self, kind: int, name: str, flags: int, verb: str) -> None:
        mask = IFF_UP if kind == _RTM_NEWLINK else 0
        body = _LINK.pack(0, 0, 0, flags, mask) + _attribute(_IFLA_IFNAME, name.encode() + b"\0")
        for _ in self._exchange(kind, _F_ACK, body, f"{verb} the network interface", name):
            pass

    def _dump(self, kind: int, body: bytes, what: str) -> list[bytes]:
        # A change during the dump may make its parts contradict each other: the kernel says so, and we ask again.
        for _ in range(_RESTARTS):
            payloads, torn = [], False
            for flags, payload in self._exchange(kind, _F_DUMP, body, what, ""):
                payloads.append(payload)
                torn |= bool(flags & _F_DUMP_INTR)
            if not torn:
                break
        return payloads

    def _exchange(self, kind: int, flags: int, body: bytes, what: str, where: str) -> Iterator[tuple[int, bytes]]:
        """Send one request and yield (flags, payload) of each answer until it is complete."""
        self._sequence += 1
        length = _HEAD.size + len(body)
        with map_errors(OSError, Internal, f"cannot {what}", where=where):
            self._socket.send(_HEAD.pack(length, kind, _F_REQUEST | flags, self._sequence, 0) + body)
            while True:
                data = self._socket.recv(_RECEIVE)
                for kind_, flags_, sequence, payload in _messages(data):
                    if sequence != self._sequence:
                        continue
                    if kind_ in (_NLMSG_ERROR, _NLMSG_DONE):
                        _check(payload, what, where)
                        return
                    yield flags_, payload


def _check(payload: bytes, what: str, where: str) -> None:
    number = -struct.unpack_from("=i", payload)[0] if len(payload) >= 4 else 0
    if number:
        cause = OSError(number, os.strerror(number))
        kind: type[CricketError] = Internal
        if number == 19:  # ENODEV
            kind = NotFound
        elif isinstance(cause, PermissionError):
            kind = PermissionDenied
        raise kind(f"cannot {what}", where=where) from cause


def _messages(data: bytes) -> Iterator[tuple[int, int, int, bytes]]:
    at = 0
    while at + _HEAD.size <= len(data):
        length, kind, flags, sequence, _port = _HEAD.unpack_from(data, at)
        if length < _HEAD.size:
            return
        yield kind, flags, sequence, data[at + _HEAD.size : at + length]
        at += (length + 3) & ~3


def _attribute(kind: int, value: bytes) -> bytes:
    return _ATTR.pack(_ATTR.size + len(value), kind) + value + b"\0" * (-len(value) % 4)


def _attributes(data: bytes, at: int = 0) -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    while at + _ATTR.size <= len(data):
        length, kind = _ATTR.unpack_from(data, at)
        if length < _ATTR.size:
            break
        found[kind & 0x3FFF] = data[at + _ATTR.size : at + length]  # the two high bits are flags
        at += (length + 3) & ~3
    return found


def _u32(attributes: dict[int, bytes], kind: int, default: int = 0) -> int:
    value = attributes.get(kind)
    return int.from_bytes(value[:4], sys.byteorder) if value else default


def _text(value: bytes) -> str:
    return value.rstrip(b"\0").decode("utf-8", "replace")


def _ip(value: bytes) -> str:
    if len(value) not in (4, 16):
        return ""
    return socket.inet_ntop(socket.AF_INET if len(value) == 4 else socket.AF_INET6, value)


def _link(payload: bytes) -> Link:
    _family, _type, ifindex, flags, _change = _LINK.unpack_from(payload)
    a = _attributes(payload, _LINK.size)
    stats = a.get(_IFLA_STATS64, b"")
    return Link(
        ifindex=ifindex,
        name=_text(a.get(_IFLA_IFNAME, b"")),
        flags=flags,
        mtu=_u32(a, _IFLA_MTU),
        mac=a.get(_IFLA_ADDRESS, b"").hex(":"),
        kind=_text(_attributes(a.get(_IFLA_LINKINFO, b"")).get(_IFLA_INFO_KIND, b"")),
        master=_u32(a, _IFLA_MASTER),
        counters=Counters(*_COUNTERS.unpack_from(stats)) if len(stats) >= _COUNTERS.size else Counters(),
    )


def _address(payload: bytes) -> Address:
    _family, prefix, _flags, _scope, ifindex = _ADDR.unpack_from(payload)
    a = _attributes(payload, _ADDR.size)
    # On a point-to-point link IFA_ADDRESS is the peer's; IFA_LOCAL, where there is one, is always ours.
    return Address(ifindex, _ip(a.get(_IFA_LOCAL, a.get(_IFA_ADDRESS, b""))), prefix)


def _route(payload: bytes) -> Route:
    family, prefix, _src, _tos, table, _protocol, _scope, kind, _flags = _ROUTE.unpack_from(payload)
    a = _attributes(payload, _ROUTE.size)
    return Route(
        family=family,
        destination=_ip(a.get(_RTA_DST, b"")),
        prefix=prefix,
        gateway=_ip(a.get(_RTA_GATEWAY, b"")),
        ifindex=_u32(a, _RTA_OIF),
        table=_u32(a, _RTA_TABLE, table),
        type=kind,
    )
