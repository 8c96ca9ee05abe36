"""A pod's network namespace and the interface in it."""

from __future__ import annotations

import contextlib

from cricket.errors import NotFound
from cricket.kernel.effects import effect
from cricket.kernel.netlink import Netlink
from cricket.kernel.netlink_remove import remove_link
from cricket.kernel.netns_thread import open_netns, visit
from cricket.network.builtin.addresses import is_global_unicast, pack
from cricket.network.builtin.base import Call


def opened(call: Call) -> contextlib.AbstractContextManager[int]:
    """A descriptor of the namespace. Raises NotFound."""
    return open_netns(call.attachment.netns)


def remove_interface(call: Call, *, with_addresses: bool) -> list[str]:
    """Remove the attachment's interface, and with it a pair's other end; returns its global addresses when asked.

    Idempotent: namespace and interface may be gone.
    """
    if not call.attachment.netns:
        return []
    try:
        with opened(call) as netns, visit(netns), Netlink() as inside:
            link = inside.find_link(call.attachment.ifname)
            if link is None:
                return []
            found = inside.addresses(link.ifindex) if with_addresses else []
            remove_link(link.ifindex)
    except NotFound:
        return []
    effect("interface remove")
    return [f"{a.address}/{a.prefix}" for a in found if is_global_unicast(pack(a.address))]
