"""CHECK: are the addresses and routes of a result in the pod? (pkg/ip of the standard plugins)."""

from __future__ import annotations

from cricket.errors import Internal
from cricket.kernel.netlink import Link, Netlink
from cricket.network import result, versions
from cricket.network.builtin import routes
from cricket.network.builtin.addresses import parse_cidr, unpack
from cricket.network.builtin.base import Call, Refused
from cricket.network.result import Json


def previous(call: Call) -> Json:
    """The result so far, or the whole chain's, in the shape of 1.1.0. Raises Refused."""
    if call.previous is None:
        raise Refused("prevResult is missing")
    try:
        return result.convert(call.previous, versions.NEWEST)
    except Internal as e:
        raise Refused("prevResult is not a result", str(e)) from e


def items(found: Json, key: str) -> list[Json]:
    """The objects of a list in a result."""
    value = found.get(key)
    return [i for i in value if isinstance(i, dict)] if isinstance(value, list) else []


def pod_interface(call: Call, found: Json) -> Json:
    """The entry of the attachment's interface. Raises Refused."""
    a = call.attachment
    for item in items(found, "interfaces"):
        if item.get("name") == a.ifname and item.get("sandbox") == a.netns:
            return item
    raise Refused(f"prevResult has no interface {a.ifname} in {a.netns}")


def check_mac(item: Json, link: Link) -> None:
    """Raises Refused when the link has another MAC than the result says."""
    mac = item.get("mac")
    if mac and mac != link.mac:
        raise Refused(f"{link.name} has the MAC {link.mac}, not {mac}")


def check_pod(call: Call, found: Json, inside: Netlink) -> Link:
    """The pod's interface is a veth with MAC, addresses and routes of the result. Raises Refused."""
    item = pod_interface(call, found)
    link = inside.find_link(call.attachment.ifname)
    if link is None:
        raise Refused(f"the pod's interface {call.attachment.ifname} is gone")
    if link.kind != "veth":
        raise Refused(f"the pod's interface {link.name} is a {link.kind or 'real one'}, not a veth")
    check_mac(item, link)
    _check_addresses(found, inside, link)
    _check_routes(found, inside)
    return link


def _check_addresses(found: Json, inside: Netlink, link: Link) -> None:
    present = {(a.address, a.prefix) for a in inside.addresses(link.ifindex)}
    reachable = {(r.destination, r.prefix) for r in inside.routes()}
    for item in items(found, "ips"):
        address = parse_cidr(item.get("address"))
        if (unpack(address.address), address.prefix) not in present:
            raise Refused(f"{link.name} does not have the address {address}")
        if (unpack(address.subnet.address), address.prefix) not in reachable:
            raise Refused(f"no route leads to the subnet of {address}")


def _check_routes(found: Json, inside: Netlink) -> None:
    present = inside.routes()
    for route in routes.parse(items(found, "routes")):
        default = route.destination.prefix == 0
        destination = "" if default else unpack(route.destination.address)
        # As in the standard plugins, any gateway will do for a default route.
        gateway = unpack(route.gateway) if route.gateway and not default else ""
        six = len(route.destination.address) == 16
        for r in present:
            same = (r.destination, r.prefix) == (destination, route.destination.prefix)
            if same and gateway in ("", r.gateway) and (r.family == 10) == six:
                break
        else:
            raise Refused(f"there is no route to {route.destination}")
