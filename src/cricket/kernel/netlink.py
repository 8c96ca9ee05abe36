"""A little rtnetlink(7): links with counters, addresses, routes; links up, down and away; many changes at once.

A socket belongs to the network namespace of the thread that made it, so inside a sandbox all of this runs in
`kernel.namespaces.in_netns`; a socket that was opened there may then be used by any thread. Calls block (the kernel's
RTNL lock may be held by others): not for the event loop.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
from collections.abc import Iterator, Sequence

from cricket.errors import AlreadyExists, CricketError, Internal, NotFound, PermissionDenied, map_errors
from cricket.kernel import netlink_requests as requests
from cricket.kernel import netlink_wire as wire
from cricket.kernel.netlink_requests import Request
from cricket.kernel.netlink_wire import IFF_LOOPBACK, IFF_UP, Address, Link, Route

__all__ = ["IFF_LOOPBACK", "IFF_UP", "Address", "Link", "Netlink", "Request", "Route"]

_SOL_NETLINK = 270
_OPTIONS = (10, 11, 12)  # NETLINK_CAP_ACK, NETLINK_EXT_ACK, NETLINK_GET_STRICT_CHK (dumps heed their filters)
_RECEIVE = 1 << 18
_SMALL_RECEIVE = 1 << 15
_TIMEOUT = 10.0
_RESTARTS = 5
_KINDS: dict[int, type[CricketError]] = {
    errno.ENODEV: NotFound,
    errno.EEXIST: AlreadyExists,
    errno.EPERM: PermissionDenied,
    errno.EACCES: PermissionDenied,
}


class Netlink:
    """A route socket of the calling thread's network namespace; a context manager. Methods raise CricketError.

    `groups` is a mask of multicast groups (RTMGRP_*) to listen to.
    """

    def __init__(self, groups: int = 0) -> None:
        with map_errors(OSError, Internal, "cannot open a netlink socket"):
            self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, 0)
            try:
                for option in _OPTIONS:
                    with contextlib.suppress(OSError):  # kernels before 4.20 lack some: errors are terser, dumps longer
                        self._socket.setsockopt(_SOL_NETLINK, option, 1)
                self._socket.settimeout(_TIMEOUT)
                self._socket.bind((0, groups))
            except BaseException:
                self._socket.close()
                raise
        self._sequence = 0

    def __enter__(self) -> Netlink:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the socket. Idempotent."""
        self._socket.close()

    def links(self) -> list[Link]:
        """All links with their counters."""
        return [wire.link(p) for p in self._dump(wire.RTM_GETLINK, wire.LINK.pack(0, 0, 0, 0, 0), "list links")]

    def addresses(self, ifindex: int = 0, family: int = 0) -> list[Address]:
        """Addresses: all, those of one link, or those of one family (AF_INET, AF_INET6). Raises NotFound."""
        body = wire.ADDR.pack(family, 0, 0, 0, ifindex)
        found = [wire.address(p) for p in self._dump(wire.RTM_GETADDR, body, "list addresses")]
        return [a for a in found if ifindex in (0, a.ifindex)]  # old kernels ignore the filter

    def routes(self) -> list[Route]:
        """All routes of all tables, IPv4 and IPv6."""
        payloads = self._dump(wire.RTM_GETROUTE, wire.ROUTE.pack(0, 0, 0, 0, 0, 0, 0, 0, 0), "list routes")
        return [wire.route(p) for p in payloads if p[0] in (socket.AF_INET, socket.AF_INET6)]

    def link(self, name: str) -> Link:
        """One link by name, without counters. Raises NotFound."""
        [payloads] = self.batch([requests.get_link(name)])
        return wire.link(payloads[0])

    def find_link(self, name: str) -> Link | None:
        """One link by name, None when there is none."""
        try:
            return self.link(name)
        except NotFound:
            return None

    def set_up(self, name: str) -> None:
        """Bring a link up. Idempotent. Raises NotFound."""
        self.batch([requests.set_link(name, flags=IFF_UP, mask=IFF_UP)])

    def set_down(self, name: str) -> None:
        """Take a link down. Idempotent. Raises NotFound."""
        self.batch([requests.set_link(name, flags=0, mask=IFF_UP)])

    def delete_link(self, name: str) -> None:
        """Remove a link. Idempotent: a missing one is no error."""
        try:
            self.batch([requests.delete_link(name)])
        except NotFound:
            pass

    def batch(self, batch: Sequence[Request]) -> list[list[bytes]]:
        """Send all requests in one system call; returns the payloads that answered each of them, mostly none.

        The kernel performs them in order and does not stop at one that fails; the first whose failure is not forgiven
        is raised when all are done. Raises NotFound (no such link), AlreadyExists, PermissionDenied, Internal.
        """
        first = self._sequence + 1
        self._sequence += len(batch)
        data = b"".join(_message(r, first + i) for i, r in enumerate(batch))
        answers: list[list[bytes]] = [[] for _ in batch]
        failures: dict[int, tuple[int, str]] = {}
        left = len(batch)
        with map_errors(OSError, Internal, f"cannot {batch[0].what}", where=batch[0].where):
            self._socket.send(data)
            while left:
                for kind, flags, sequence, payload in wire.messages(self._socket.recv(_SMALL_RECEIVE)):
                    index = sequence - first
                    if not 0 <= index < len(batch):
                        continue
                    if kind != wire.NLMSG_ERROR:
                        answers[index].append(payload)
                        continue
                    left -= 1
                    number, words = wire.error(payload, flags)
                    if number and number not in batch[index].forgive:
                        failures[index] = number, words
        if failures:
            index = min(failures)
            raise _failure(*failures[index], batch[index].what, batch[index].where)
        return answers

    def notifications(self) -> Iterator[tuple[int, bytes]]:
        """(type, payload) of the messages of the multicast groups as they come; ends when none came in 5 ms.

        Raises Internal, also when some were lost.
        """
        self._socket.settimeout(0.005)
        try:
            with map_errors(OSError, Internal, "cannot receive netlink notifications"):
                for kind, _flags, _sequence, payload in wire.messages(self._socket.recv(_SMALL_RECEIVE)):
                    yield kind, payload
        except Internal as e:
            if not isinstance(e.__cause__, TimeoutError):
                raise

    def _dump(self, kind: int, body: bytes, what: str) -> list[bytes]:
        # A change during the dump may make its parts contradict each other: the kernel says so, and we ask again.
        for _ in range(_RESTARTS):
            payloads, torn = [], False
            for flags, payload in self._exchange(kind, body, what):
                payloads.append(payload)
                torn |= bool(flags & wire.F_DUMP_INTR)
            if not torn:
                break
        return payloads

    def _exchange(self, kind: int, body: bytes, what: str) -> Iterator[tuple[int, bytes]]:
        """Send one request for a dump and yield (flags, payload) of each answer until it is complete."""
        self._sequence += 1
        with map_errors(OSError, Internal, f"cannot {what}"):
            self._socket.send(_message(Request(kind, wire.F_DUMP, body, what), self._sequence))
            while True:
                for kind_, flags_, sequence, payload in wire.messages(self._socket.recv(_RECEIVE)):
                    if sequence != self._sequence:
                        continue
                    if kind_ in (wire.NLMSG_ERROR, wire.NLMSG_DONE):
                        number, words = wire.error(payload, flags_)
                        if number:
                            raise _failure(number, words, what, "")
                        return
                    yield flags_, payload


def _message(request: Request, sequence: int) -> bytes:
    length = wire.HEAD.size + len(request.body)
    # Every body is a multiple of four bytes, so nothing needs to be padded between messages.
    return wire.HEAD.pack(length, request.kind, wire.F_REQUEST | request.flags, sequence, 0) + request.body


def _failure(number: int, words: str, what: str, where: str) -> CricketError:
    cause = OSError(number, words or os.strerror(number))
    failure = _KINDS.get(number, Internal)(f"cannot {what}", where=where)
    failure.__cause__ = cause
    return failure
