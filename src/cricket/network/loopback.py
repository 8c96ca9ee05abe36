"""The loopback interface of a sandbox, by netlink instead of a plugin process."""

from __future__ import annotations

import asyncio

from cricket.errors import FailedPrecondition
from cricket.kernel.namespaces import in_netns
from cricket.kernel.netlink import Netlink
from cricket.kernel.netns_thread import open_netns, visit


def bring_up(netns: str) -> None:
    """Bring `lo` up; the kernel gives it its addresses. Idempotent. For `netns_thread.in_own_thread`.

    Raises NotFound, Internal.
    """
    with open_netns(netns) as fd, visit(fd), Netlink() as netlink:
        netlink.set_up("lo")


async def check(netns: str) -> None:
    """Raises FailedPrecondition when `lo` is down, Internal when the namespace is gone."""

    def work() -> bool:
        with Netlink() as netlink:
            return any(link.name == "lo" and link.up for link in netlink.links())

    if not await asyncio.to_thread(in_netns, netns, work):
        raise FailedPrecondition("the loopback interface is down", where=netns)
