"""The bandwidth plugin: limits to what a pod receives and sends (plugins/meta/bandwidth of the standard plugins).

What the pod receives waits in a token bucket on the host's end of its veth pair. What it sends arrives there, is led
through a device of its own (ifb), and waits in the token bucket of that.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping

import msgspec

from cricket.errors import NotFound
from cricket.kernel import netlink_requests as requests
from cricket.kernel import netlink_tc as tc
from cricket.kernel import netlink_wire as wire
from cricket.kernel.effects import effect
from cricket.kernel.netlink import Link, Netlink
from cricket.kernel.netlink_remove import remove_link
from cricket.kernel.netns_thread import visit
from cricket.network.builtin import pod
from cricket.network.builtin.bandwidth_rates import Rates, bucket
from cricket.network.builtin.base import Builtin, Call, Refused
from cricket.network.builtin.conf import PluginConf, parse
from cricket.network.builtin.expected import items
from cricket.network.builtin.expected import previous as previous_result
from cricket.network.builtin.masquerade import hashed
from cricket.network.result import Json

_CAPABILITIES = frozenset({"bandwidth"})
_LONGEST_NAME = 15


class BandwidthConf(PluginConf, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The configuration: bit/s and bits. With any of these, what the pod asks for does not count."""

    ingressRate: int | None = None
    ingressBurst: int | None = None
    egressRate: int | None = None
    egressBurst: int | None = None


class Bandwidth(Builtin):
    """See the module."""

    anonymous = True

    def understands(self, conf: Mapping[str, object]) -> bool:
        """See `Builtin`."""
        return _rates(conf) is not None

    def idle(self, command: str, call: Call) -> bool:
        """A pod without limits; its DEL looks all the same."""
        return command != "DEL" and _rates(call.conf) == Rates()

    def add(self, call: Call) -> Json:
        """Make queues and device. What was made before a failure goes with DEL and the pod's interface."""
        rates, previous = _checked(call), previous_result(call)
        with Netlink() as netlink:
            host = _host_end(call, previous, netlink)
            ticks = tc.ticks_per_microsecond()
            if rates.ingressRate:
                netlink.batch([tc.new_bucket(host.ifindex, bucket(rates.ingressRate, rates.ingressBurst, ticks))])
            if rates.egressRate:
                ifb = _new_ifb(netlink, _device(call), host.mtu)
                interfaces = [*items(previous, "interfaces"), {"name": ifb.name, "mac": ifb.mac}]
                previous = {**previous, "interfaces": interfaces}
                netlink.batch(
                    [
                        tc.new_ingress(host.ifindex),
                        tc.redirect(host.ifindex, ifb.ifindex),
                        tc.new_bucket(ifb.ifindex, bucket(rates.egressRate, rates.egressBurst, ticks)),
                    ]
                )
        return previous

    def delete(self, call: Call) -> None:
        """Remove the device; the queues go with the pod's interface."""
        with Netlink() as netlink:
            ifb = netlink.find_link(_device(call))
        if ifb is not None:
            remove_link(ifb.ifindex)
            effect("interface remove")

    def check(self, call: Call) -> None:
        """Raises Refused when a token bucket is missing or another one."""
        rates, previous = _checked(call), previous_result(call)
        ticks = tc.ticks_per_microsecond()
        with Netlink() as netlink:
            if rates.ingressRate:
                host = _host_end(call, previous, netlink)
                _check(netlink, host, bucket(rates.ingressRate, rates.ingressBurst, ticks))
            if rates.egressRate:
                ifb = netlink.find_link(_device(call))
                if ifb is None:
                    raise Refused(f"the device {_device(call)} is gone")
                _check(netlink, ifb, bucket(rates.egressRate, rates.egressBurst, ticks))


PLUGIN = Bandwidth()


def _rates(conf: Mapping[str, object]) -> Rates | None:
    """What is asked for, None when the executable must run."""
    found = parse(conf, BandwidthConf, _CAPABILITIES)
    if found is None:
        return None
    own = {k: v for k in Rates.__struct_fields__ if (v := getattr(found, k)) is not None}
    try:
        return msgspec.convert(own or found.runtimeConfig.get("bandwidth") or {}, Rates)
    except msgspec.ValidationError:
        return None


def _checked(call: Call) -> Rates:
    rates = _rates(call.conf)
    if rates is None:
        raise Refused("the configuration is not understood")
    rates.check()
    return rates


def _device(call: Call) -> str:
    return hashed("bwp", _LONGEST_NAME, call.network, call.attachment.container_id)


def _host_end(call: Call, previous: Json, netlink: Netlink) -> Link:
    """The other end of the pod's interface, when it is one that the chain's result names. Raises Refused."""
    ifname = call.attachment.ifname
    with pod.opened(call) as netns, visit(netns), Netlink() as inside:
        link = inside.find_link(ifname)
    if link is None or link.kind != "veth" or not link.peer:
        raise Refused(f"the pod's interface {ifname} is no veth, so there is nothing to limit")
    try:
        name = socket.if_indextoname(link.peer)
        host = netlink.link(name)
    except (OSError, NotFound) as e:
        raise Refused(f"the other end of {ifname} is not on the host") from e
    if not any(i.get("name") == name and not i.get("sandbox") for i in items(previous, "interfaces")):
        raise Refused(f"the other end of {ifname}, {name}, is not in prevResult")
    return host


def _new_ifb(netlink: Netlink, name: str, mtu: int) -> Link:
    _, [answer] = netlink.batch([tc.new_ifb(name, mtu=mtu), requests.get_link(name)])
    effect("interface add")
    return wire.link(answer)


def _check(netlink: Netlink, link: Link, expected: tc.Bucket) -> None:
    [answers] = netlink.batch([tc.get_root(link.ifindex)])
    found = tc.bucket(answers[0]) if answers else None
    if found is None:
        raise Refused(f"{link.name} has no token bucket")
    if found != expected:
        raise Refused(f"the token bucket of {link.name} is {found}, not {expected}")
