"""Interface counters of a sandbox."""

from __future__ import annotations

from cricket.kernel.namespaces import in_netns
from cricket.kernel.netlink import IFF_LOOPBACK, Link, Netlink
from cricket.network.attachment import IFNAME
from cricket.types.stats import Interface


def interfaces(netns: str) -> tuple[Interface, ...]:
    """Counters of all interfaces but loopback, eth0 first; blocks for about a millisecond.

    Raises Internal when the namespace is gone.
    """

    def work() -> list[Link]:
        with Netlink() as netlink:
            return netlink.links()

    found = [_interface(link) for link in in_netns(netns, work) if not link.flags & IFF_LOOPBACK]
    return tuple(sorted(found, key=lambda i: i.name != IFNAME))


def _interface(link: Link) -> Interface:
    c = link.counters
    return Interface(
        name=link.name,
        rx_bytes=c.rx_bytes,
        rx_packets=c.rx_packets,
        rx_errors=c.rx_errors,
        rx_dropped=c.rx_dropped,
        tx_bytes=c.tx_bytes,
        tx_packets=c.tx_packets,
        tx_errors=c.tx_errors,
        tx_dropped=c.tx_dropped,
    )
