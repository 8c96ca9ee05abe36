"""Veth pairs between the host and a pod."""

from __future__ import annotations

import os
import time

from cricket.errors import AlreadyExists, CricketError
from cricket.kernel import netlink_requests as requests
from cricket.kernel import netlink_wire as wire
from cricket.kernel.effects import effect
from cricket.kernel.netlink import Link, Netlink
from cricket.kernel.netlink_requests import End
from cricket.network.builtin import sysctl
from cricket.network.builtin.base import Refused

_TRIES = 10


def create(
    host: Netlink,
    netns_fd: int,
    ifname: str,
    *,
    mtu: int = 0,
    mac: bytes = b"",
    bridge: int = 0,
    hairpin: bool = False,
    isolated: bool = False,
) -> Link:
    """Make a pair: `ifname` in the pod, down; the host's end up, with a random name, on the bridge with this index.

    Returns the host's end, whose `peer` is the index of the pod's. The calling thread must be in the namespace of
    `host`. Raises Refused when the pod has an interface of this name.
    """
    for _ in range(_TRIES):
        # NetworkManager leaves alone what begins with "veth".
        name = f"veth{os.urandom(4).hex()}"
        # No queue at the host's end: that is what the standard plugins' netlink library makes of it.
        here = End(name, mtu=mtu, up=True, txqlen=0)
        pair = requests.new_veth(here, End(ifname, mtu=mtu, mac=mac, netns_fd=netns_fd), master=bridge)
        try:
            [_, [payload]] = host.batch([pair, requests.get_link(name)])
        except AlreadyExists as e:
            if host.find_link(name) is not None:
                continue
            raise Refused(f"the pod has an interface {ifname} already") from e
        effect("veth create")
        link = wire.link(payload)
        if hairpin or isolated:
            host.batch([requests.set_port(link.ifindex, hairpin=hairpin or None, isolated=isolated or None)])
        # Its routes are ours to make.
        sysctl.try_write(f"net/ipv6/conf/{name}/accept_ra", "0")
        return link
    raise Refused("no name is free for the host's end of the pair")


def parse_mac(text: str) -> bytes:
    """A MAC address as bytes, b"" for "". Raises Refused."""
    if not text:
        return b""
    for separator in (":", "-"):
        parts = text.split(separator)
        if len(parts) == 6 and all(len(p) == 2 for p in parts):
            try:
                return bytes.fromhex("".join(parts))
            except ValueError:
                break
    raise Refused(f"{text[:40]!r} is not a MAC address")


def when_up(host: Netlink, port: str, bridge: str) -> tuple[Link, Link]:
    """Wait until the port carries traffic, 2.5 seconds at most; both links as they are then. Raises Refused."""
    pause, end = 0.0001, time.monotonic() + 2.55
    while True:
        [[here], [there]] = host.batch([requests.get_link(port), requests.get_link(bridge)])
        link = wire.link(here)
        if link.operstate == wire.OPER_UP:
            return link, wire.link(there)
        if time.monotonic() > end:
            raise Refused(f"the port {port} of the bridge does not come up (operational state {link.operstate})")
        time.sleep(pause)
        pause = min(pause * 2, 0.05)


def find(netlink: Netlink, name: str, what: str) -> Link:
    """A link that must be there. Raises Refused."""
    try:
        return netlink.link(name)
    except CricketError as e:
        raise Refused(f"{what} {name} is not there", str(e)) from e
