"""Connection tracking over nfnetlink: forgetting flows that led elsewhere."""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Collection

from cricket.errors import Internal, map_errors
from cricket.kernel import netlink_wire as wire
from cricket.kernel import nftables_wire as nft
from cricket.kernel.netlink_wire import attribute
from cricket.kernel.nftables_wire import Message, nested

_GET, _DELETE = (1 << 8) + 1, (1 << 8) + 2  # NFNL_SUBSYS_CTNETLINK, IPCTNL_MSG_CT_*
_ORIGINAL, _ID, _ZONE, _FILTER = 1, 12, 18, 25  # CTA_*
_TUPLE_PROTOCOL = 2
_PROTOCOL, _DESTINATION_PORT = 1, 3
_FILTER_ORIGINAL, _FILTER_REPLY = 1, 2
_BY_PROTOCOL, _BY_DESTINATION_PORT = 1 << 3, 1 << 5
_UDP = 17
_RECEIVE = 1 << 18
_TIMEOUT = 10.0


def forget_udp(family: int, ports: Collection[int]) -> None:
    """Remove the flows of UDP that were first sent to one of `ports`, whatever the address. Blocks. Raises Internal."""
    with (
        map_errors(OSError, Internal, "cannot forget flows of UDP"),
        socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, nft.NETLINK_NETFILTER) as socket_,
    ):
        socket_.settimeout(_TIMEOUT)
        socket_.bind((0, 0))
        for port in sorted(ports):
            for flow in _ask(socket_, _list(family, port)):
                if _is_to(flow, port):
                    _ask(socket_, _remove(family, flow))


def _list(family: int, port: int) -> Message:
    """Kernels before 5.8 do not know the filter and tell all flows."""
    protocol = attribute(_PROTOCOL, bytes([_UDP])) + attribute(_DESTINATION_PORT, struct.pack(">H", port))
    flags = wire.attribute_u32(_FILTER_ORIGINAL, _BY_PROTOCOL | _BY_DESTINATION_PORT)
    flags += wire.attribute_u32(_FILTER_REPLY, 0)
    body = nested(_ORIGINAL, nested(_TUPLE_PROTOCOL, protocol)) + nested(_FILTER, flags)
    return Message(_GET, wire.F_DUMP, family, body, "list flows")


def _is_to(payload: bytes, port: int) -> bool:
    tuple_ = wire.attributes(wire.attributes(payload, 4).get(_ORIGINAL, b""))
    protocol = wire.attributes(tuple_.get(_TUPLE_PROTOCOL, b""))
    there = protocol.get(_PROTOCOL), protocol.get(_DESTINATION_PORT)
    return there == (bytes([_UDP]), struct.pack(">H", port))


def _remove(family: int, payload: bytes) -> Message:
    """The very flow that was listed: without its tuple the kernel would take it for a wish to remove all."""
    found = wire.attributes(payload, 4)
    body = nested(_ORIGINAL, found[_ORIGINAL])
    for kind in (_ID, _ZONE):
        if kind in found:
            body += attribute(kind, found[kind])
    return Message(_DELETE, wire.F_ACK, family, body, "remove a flow")


def _ask(socket_: socket.socket, message: Message) -> list[bytes]:
    socket_.send(nft.pack(message, 1))
    found = []
    while True:
        for kind, flags, _sequence, payload in wire.messages(socket_.recv(_RECEIVE)):
            if kind not in (wire.NLMSG_ERROR, wire.NLMSG_DONE):
                found.append(payload)
                continue
            problem, words = wire.error(payload, flags)
            if problem not in (0, errno.ENOENT):  # it has ended by itself
                raise OSError(problem, words or message.what)
            return found
