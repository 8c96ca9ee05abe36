"""CHECK of the bridge plugin."""

from __future__ import annotations

from cricket.kernel.netlink import Netlink
from cricket.kernel.netns_thread import visit
from cricket.network.builtin import expected, pod, veth
from cricket.network.builtin.base import Call, Refused


def check(call: Call, name: str, *, promiscuous: bool) -> None:
    """Raises Refused when the bridge `name`, the pair, addresses or routes are not as in prevResult."""
    found = expected.previous(call)
    with Netlink() as host, pod.opened(call) as netns:
        bridge = veth.find(host, name, "the bridge")
        if bridge.kind != "bridge":
            raise Refused(f"the interface {name} is not a bridge")
        for item in expected.items(found, "interfaces"):
            if item.get("name") == name and not item.get("sandbox"):
                expected.check_mac(item, bridge)
        if bool(bridge.promiscuity) != promiscuous:
            raise Refused(f"the bridge {name} is {'' if bridge.promiscuity else 'not '}promiscuous")
        with visit(netns), Netlink() as inside:
            link = expected.check_pod(call, found, inside)
        for item in expected.items(found, "interfaces"):
            port = host.find_link(str(item.get("name"))) if not item.get("sandbox") else None
            if port is None or (port.ifindex, port.peer, port.master) != (link.peer, link.ifindex, bridge.ifindex):
                continue
            expected.check_mac(item, port)
            return
        raise Refused(f"no interface of prevResult is the other end of {link.name} on the bridge {name}")
