"""The loopback plugin: bring `lo` up (plugins/main/loopback of the standard plugins)."""

from __future__ import annotations

from collections.abc import Mapping

from cricket.errors import NotFound
from cricket.kernel.netlink import Netlink
from cricket.kernel.netns_thread import visit
from cricket.network import versions
from cricket.network.builtin import pod, veth
from cricket.network.builtin.addresses import is_loopback, pack
from cricket.network.builtin.base import Builtin, Call, Refused
from cricket.network.builtin.conf import PluginConf, parse
from cricket.network.result import Json

_LO = "lo"


class Loopback(Builtin):
    """See the module."""

    anonymous = True

    def understands(self, conf: Mapping[str, object]) -> bool:
        """See `Builtin`."""
        return parse(conf, PluginConf) is not None

    def add(self, call: Call) -> Json:
        """Bring it up. Raises Refused when it has other addresses than loopback ones."""
        with pod.opened(call) as netns, visit(netns), Netlink() as inside:
            inside.set_up(_LO)
            addresses = inside.addresses(inside.link(_LO).ifindex)
        for a in addresses:
            if not is_loopback(pack(a.address)):
                raise Refused(f"the loopback interface has the address {a.address}")
        if call.previous is not None:
            return call.previous
        ips = [next((a for a in addresses if (":" in a.address) == six), None) for six in (False, True)]
        return {
            "cniVersion": versions.NEWEST,
            "interfaces": [{"name": _LO, "mac": "00:00:00:00:00:00", "sandbox": call.attachment.netns}],
            "ips": [{"interface": 0, "address": f"{a.address}/{a.prefix}"} for a in ips if a],
        }

    def delete(self, call: Call) -> None:
        """Take it down."""
        if call.attachment.netns:
            try:
                with pod.opened(call) as netns, visit(netns), Netlink() as inside:
                    inside.set_down(_LO)
            except NotFound:
                pass

    def check(self, call: Call) -> None:
        """Raises Refused when it is down."""
        with pod.opened(call) as netns, visit(netns), Netlink() as inside:
            if not veth.find(inside, _LO, "the interface").up:
                raise Refused("the loopback interface is down")


PLUGIN = Loopback()
