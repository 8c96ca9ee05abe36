"""Addresses and routes of a pod's interface, from the result of IPAM (pkg/ipam of the standard plugins)."""

from __future__ import annotations

import socket
import time
from collections.abc import Sequence

from cricket.kernel import netlink_requests as requests
from cricket.kernel import netlink_wire as wire
from cricket.kernel.netlink import IFF_UP, Netlink
from cricket.kernel.netlink_requests import Request
from cricket.network.builtin import sysctl
from cricket.network.builtin.addresses import IpConf
from cricket.network.builtin.base import Refused
from cricket.network.builtin.routes import Route

_SETTLE_SECONDS = 5.0


def configure(
    pod: Netlink, ifindex: int, ifname: str, ips: Sequence[IpConf], routes: Sequence[Route], *more: Request
) -> list[list[bytes]]:
    """Give the interface its addresses, bring it up, wait for IPv6's duplicate address detection, add the routes.

    The calling thread must be in the pod's namespace. `more` is sent behind the routes; its answers are returned.
    Raises Refused and CricketError kinds.
    """
    six = [ip for ip in ips if len(ip.address.address) == 16]
    if six:
        _allow_ipv6(ifname)
    batch = [requests.add_address(ifindex, *ip.address) for ip in ips]
    batch.append(requests.set_link(ifname, ifindex=ifindex, flags=IFF_UP, mask=IFF_UP))
    if any(ip.gateway for ip in six):
        pod.batch(batch)
        settle(pod, ifindex, ifname)
        batch = []
    batch += [_route(ifindex, route, ips) for route in routes]
    answers = pod.batch([*batch, *more]) if batch or more else []
    return answers[len(batch) :]


def settle(pod: Netlink, ifindex: int, ifname: str) -> None:
    """Wait until no IPv6 address is tentative any more. Raises Refused when one is a duplicate or it takes too long."""
    pause, end = 0.0001, time.monotonic() + _SETTLE_SECONDS
    while True:
        found = pod.addresses(ifindex, socket.AF_INET6)
        failed = next((a for a in found if a.flags & wire.IFA_F_DADFAILED), None)
        if failed is not None:
            raise Refused(f"{ifname}: somebody else has the address {failed.address} (duplicate address detection)")
        if not any(a.flags & wire.IFA_F_TENTATIVE for a in found):
            return
        if time.monotonic() > end:
            if pod.link(ifname).operstate != wire.OPER_UP:
                return  # without a carrier there is nobody to ask
            raise Refused(f"{ifname} still has tentative addresses after {_SETTLE_SECONDS:g} s")
        time.sleep(pause)
        pause = min(pause * 2, 0.05)


def _allow_ipv6(ifname: str) -> None:
    for name in ("lo", ifname):
        sysctl.ensure(f"net/ipv6/conf/{name}/disable_ipv6", "0")
    # Or the kernel drops the address when something takes the interface down for a moment.
    sysctl.ensure(f"net/ipv6/conf/{ifname}/keep_addr_on_down", "1")


def _route(ifindex: int, route: Route, ips: Sequence[IpConf]) -> Request:
    """The gateway of a route that names none is the first one of its family among the addresses."""
    destination, prefix = route.destination
    size = len(destination)
    gateway = route.gateway or next((ip.gateway for ip in ips if len(ip.gateway) == size), b"")
    return requests.add_route(
        ifindex,
        destination,
        prefix,
        gateway=gateway,
        priority=route.priority,
        scope=requests.SCOPE_UNIVERSE if route.scope is None else route.scope,
        table=route.table or requests.MAIN,
        exclusive=False,
    )
