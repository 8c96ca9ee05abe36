"""Traffic control by rtnetlink(7): a token bucket on a link, and what a link receives led through another link.

Messages for `Netlink.batch`. Rates are bytes per second, sizes bytes.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from cricket.kernel import netlink_wire as wire
from cricket.kernel.netlink_requests import Request
from cricket.kernel.netlink_wire import attribute, attribute_text, attribute_u32

_NEWQDISC, _GETQDISC, _NEWTFILTER = 36, 38, 44
_TC = struct.Struct("=B3xiIII")  # tcmsg: family, index, handle, parent, info
_F_ECHO = 0x8  # or the kernel tells only who listens to changes of queues
_ROOT, _INGRESS = 0xFFFFFFFF, 0xFFFFFFF1
_KIND, _OPTIONS = 1, 2
_TBF_PARMS, _TBF_RATE64 = 1, 4
_TBF = struct.Struct("=8xI12xIII")  # tc_tbf_qopt: rate in tc_ratespec, no peak rate, limit, buffer, mtu
_U32_CLASSID, _U32_SEL, _U32_ACTION = 1, 5, 7
_EVERYTHING = struct.pack("=BxBx28x", 1, 1)  # tc_u32_sel: terminal, with one key that matches all
_ACTION_KIND, _ACTION_OPTIONS = 1, 2
_MIRRED_PARMS = 2
_MIRRED = struct.Struct("=IIiiiiI")  # tc_mirred: index, capabilities, action, two counts, what to do, ifindex
_PASS, _STOLEN, _REDIRECT = 0, 4, 1
_ETH_P_ALL = 3
_MAX_32 = 0xFFFFFFFF


class Bucket(NamedTuple):
    """A token bucket: `limit` bytes may wait; `buffer` is what a burst takes at that rate, in the kernel's ticks."""

    rate: int
    limit: int
    buffer: int


def new_ifb(name: str, *, mtu: int) -> Request:
    """Make an intermediate functional block device that is up. Fails with EEXIST."""
    body = wire.LINK.pack(0, 0, 0, wire.IFF_UP, wire.IFF_UP) + attribute_text(wire.IFLA_IFNAME, name)
    body += attribute_u32(wire.IFLA_MTU, mtu) + attribute_u32(wire.IFLA_TXQLEN, 0)
    body += attribute(wire.IFLA_LINKINFO, attribute(wire.IFLA_INFO_KIND, b"ifb"))
    flags = wire.F_ACK | wire.F_CREATE | wire.F_EXCL
    return Request(wire.RTM_NEWLINK, flags, body, "create the device", name)


def new_bucket(ifindex: int, bucket: Bucket) -> Request:
    """Make a token bucket (tbf) the root queue 1: of a link. Fails with EEXIST when it has one already."""
    options = attribute(_TBF_PARMS, _TBF.pack(bucket.rate & _MAX_32, bucket.limit, bucket.buffer, 0))
    if bucket.rate > _MAX_32:
        options += attribute(_TBF_RATE64, struct.pack("=Q", bucket.rate))
    return _new_queue(ifindex, 0x10000, _ROOT, "tbf", options)


def new_ingress(ifindex: int) -> Request:
    """Make the queue ffff: of what a link receives."""
    return _new_queue(ifindex, 0xFFFF0000, _INGRESS, "ingress", b"")


def redirect(ifindex: int, target: int) -> Request:
    """Lead all that a link with an ingress queue receives out over the link `target`.

    The second action is never reached: the standard plugins' library makes it, and so tools show the same.
    """
    actions = attribute(1, _mirred(_STOLEN, target)) + attribute(2, _mirred(_PASS, target))
    options = attribute(_U32_SEL, _EVERYTHING) + attribute_u32(_U32_CLASSID, 0x10001)
    options += attribute(_U32_ACTION, actions)
    info = 1 << 16 | int.from_bytes(struct.pack(">H", _ETH_P_ALL), "little")  # priority 1
    body = _TC.pack(0, ifindex, 0, 0xFFFF0000, info) + attribute_text(_KIND, "u32") + attribute(_OPTIONS, options)
    flags = wire.F_ACK | wire.F_CREATE | wire.F_EXCL
    return Request(_NEWTFILTER, flags, body, "redirect what the interface receives", str(ifindex))


def get_root(ifindex: int) -> Request:
    """Answers with the root queue of a link, for `bucket`."""
    body = _TC.pack(0, ifindex, 0, _ROOT, 0)
    return Request(_GETQDISC, wire.F_ACK | _F_ECHO, body, "look up the queue of the network interface", str(ifindex))


def bucket(payload: bytes) -> Bucket | None:
    """The token bucket that a queue is, None when it is of another kind."""
    found = wire.attributes(payload, _TC.size)
    options = wire.attributes(found.get(_OPTIONS, b""))
    parms = options.get(_TBF_PARMS, b"")
    if wire.text(found.get(_KIND, b"")) != "tbf" or len(parms) < _TBF.size:
        return None
    rate, limit, buffer, _mtu = _TBF.unpack_from(parms)
    wide = options.get(_TBF_RATE64, b"")
    return Bucket(struct.unpack("=Q", wide)[0] if len(wide) == 8 else rate, limit, buffer)


def ticks_per_microsecond() -> float:
    """The clock of `Bucket.buffer`."""
    with open("/proc/net/psched") as f:
        ticks, nanoseconds, resolution, _ = (int(word, 16) for word in f.read().split())
    if resolution == 1_000_000_000:  # as in iproute2, for kernels before 2.6.31
        ticks = nanoseconds
    return ticks / nanoseconds * (resolution / 1_000_000)


def _new_queue(ifindex: int, handle: int, parent: int, kind: str, options: bytes) -> Request:
    body = _TC.pack(0, ifindex, handle, parent, 0) + attribute_text(_KIND, kind) + attribute(_OPTIONS, options)
    flags = wire.F_ACK | wire.F_CREATE | wire.F_EXCL
    return Request(_NEWQDISC, flags, body, f"create the queue {kind} of the network interface", str(ifindex))


def _mirred(action: int, target: int) -> bytes:
    parms = _MIRRED.pack(0, 0, action, 0, 0, _REDIRECT, target)
    return attribute_text(_ACTION_KIND, "mirred") + attribute(_ACTION_OPTIONS, attribute(_MIRRED_PARMS, parms))
