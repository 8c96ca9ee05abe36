"""Results of ADD: checked, converted between the versions of the specification, and asked for the pod's addresses.

A result stays the JSON object that the plugin printed, so that fields that we do not know reach the next plugin.
Three shapes exist (CNI SPEC section 5, and its ancestors): up to 0.2.0 one address per family (`ip4`, `ip6`); from
0.3.0 `interfaces`, `ips` with a `version`, `routes`; from 1.0.0 the same without `version`.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping, Sequence

from cricket.errors import Internal
from cricket.network import versions

Json = dict[str, object]

_FIRST_RICH, _FIRST_1 = (0, 3, 0), (1, 0, 0)
_NEW_INTERFACE_KEYS = ("mtu", "socketPath", "pciID")  # since 1.1.0


def parse_address(text: object) -> tuple[str, int]:
    """ "10.1.0.5/16" as (canonical address, prefix length). Raises Internal."""
    if isinstance(text, str):
        address, slash, prefix = text.partition("/")
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        try:
            canonical = socket.inet_ntop(family, socket.inet_pton(family, address))
            length = int(prefix) if slash else -1
        except (OSError, ValueError):
            length = -1
        if 0 <= length <= (128 if family == socket.AF_INET6 else 32):
            return canonical, length
    raise Internal(f"{str(text)[:100]!r} is no address with a prefix length")


def check(result: object, version: str) -> Json:
    """A plugin's answer to ADD, brought to `version`. Raises Internal when it is not what the specification says."""
    if not isinstance(result, dict):
        raise Internal("the result is not a JSON object")
    named = result.get("cniVersion", version)
    if not isinstance(named, str) or not versions.candidates([named or version]):
        raise Internal(f"the result has the unknown cniVersion {str(named)[:40]!r}")
    interfaces = _objects(result, "interfaces")
    for item in _objects(result, "ips"):
        parse_address(item.get("address"))
        index = item.get("interface")
        if index is not None and not (type(index) is int and 0 <= index < len(interfaces)):
            raise Internal(f"ips.interface {str(index)[:40]!r} is no index of interfaces")
    for family in ("ip4", "ip6"):
        old = result.get(family)
        if old is not None:
            parse_address(old.get("ip") if isinstance(old, dict) else old)
    return convert({**result, "cniVersion": named or version}, version)


def convert(result: Mapping[str, object], version: str) -> Json:
    """The same result in the shape of another version. What the target cannot say is left out."""
    old, new = versions.key(str(result.get("cniVersion") or version)), versions.key(version)
    if old < _FIRST_RICH <= new:
        result = _from_02(result)
    elif new < _FIRST_RICH <= old:
        result = _to_02(result)
    out: Json = {**result, "cniVersion": version}
    if new < _FIRST_RICH:
        return out
    if "ips" in out:
        out["ips"] = [_ip_item(item, with_version=new < _FIRST_1) for item in _objects(out, "ips")]
    if new < _FIRST_1 and "interfaces" in out:
        out["interfaces"] = [
            {k: v for k, v in item.items() if k not in _NEW_INTERFACE_KEYS} for item in _objects(out, "interfaces")
        ]
    return out


def pod_addresses(result: Mapping[str, object], ifname: str) -> tuple[str, ...]:
    """The addresses of the interface `ifname` inside the sandbox, in the plugin's order, without prefix length.

    An address that names no interface counts: plugins may leave the list of interfaces out.
    """
    rich = convert(result, versions.NEWEST)
    interfaces = _objects(rich, "interfaces")
    found: list[str] = []
    for item in _objects(rich, "ips"):
        index = item.get("interface")
        if type(index) is int and 0 <= index < len(interfaces) and interfaces[index].get("name") != ifname:
            continue
        address, _ = parse_address(item.get("address"))
        if address not in found:
            found.append(address)
    return tuple(found)


def order(addresses: Sequence[str], preference: str) -> tuple[str, ...]:
    """Primary first: the first one of the preferred family ("ipv4", "ipv6"), or as the plugin said ("cni")."""
    if preference in ("ipv4", "ipv6"):
        for i, address in enumerate(addresses):
            if (":" in address) == (preference == "ipv6"):
                return (address, *addresses[:i], *addresses[i + 1 :])
    return tuple(addresses)


def _objects(result: Mapping[str, object], key: str) -> list[Json]:
    items = result.get(key)
    if items is None:
        return []
    if not isinstance(items, list) or not all(isinstance(i, dict) for i in items):
        raise Internal(f"{key} of the result is not a list of objects")
    return items


def _ip_item(item: Json, *, with_version: bool) -> Json:
    out = {k: v for k, v in item.items() if k != "version"}
    if with_version:
        out["version"] = "6" if ":" in str(item.get("address")) else "4"
    return out


def _from_02(result: Mapping[str, object]) -> Json:
    out: Json = {"cniVersion": "0.3.1", "ips": [], "routes": []}
    ips: list[Json] = []
    routes: list[object] = []
    for family, number in (("ip4", "4"), ("ip6", "6")):
        old = result.get(family)
        if isinstance(old, dict):
            ip = {"version": number, "address": old.get("ip")}
            if old.get("gateway"):
                ip["gateway"] = old["gateway"]
            ips.append(ip)
            routes += old.get("routes") or []
    out.update(ips=ips, routes=routes)
    if result.get("dns"):
        out["dns"] = result["dns"]
    return out


def _to_02(result: Mapping[str, object]) -> Json:
    out: Json = {}
    for item in _objects(result, "ips"):
        six = ":" in str(item.get("address"))
        family = "ip6" if six else "ip4"
        if family not in out:
            routes = [r for r in _objects(result, "routes") if (":" in str(r.get("dst"))) == six]
            out[family] = {
                "ip": item.get("address"),
                **({"gateway": item["gateway"]} if item.get("gateway") else {}),
                **({"routes": routes} if routes else {}),
            }
    if result.get("dns"):
        out["dns"] = result["dns"]
    return out
