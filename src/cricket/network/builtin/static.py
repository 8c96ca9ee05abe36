"""IPAM static: the addresses that the configuration or the pod names (plugins/ipam/static of the standard plugins)."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from cricket.network import versions
from cricket.network.builtin import routes
from cricket.network.builtin.addresses import IpConf, pack, parse_cidr
from cricket.network.builtin.base import Builtin, Call, Refused
from cricket.network.builtin.conf import Dns
from cricket.network.result import Json


class AddressConf(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One address with its prefix length."""

    address: str
    gateway: str = ""


class StaticConf(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The `ipam` section."""

    type: str
    addresses: list[AddressConf] = []
    routes: list[routes.RouteConf] | None = None
    dns: Dns = Dns()


class Static(Builtin):
    """See the module. Nothing is reserved anywhere."""

    def understands(self, conf: Mapping[str, object]) -> bool:
        """See `Builtin`."""
        return _parse(conf) is not None

    def add(self, call: Call) -> Json:
        """The addresses; those of the capability `ips` or of `args.cni` replace all others."""
        conf = _conf(call)
        out: Json = {"cniVersion": versions.NEWEST, "ips": [ip.to_json() for ip in _addresses(conf, call)]}
        if conf.routes:
            out["routes"] = routes.to_json(conf.routes)
        if conf.dns != Dns():
            out["dns"] = msgspec.to_builtins(conf.dns)
        return out

    def delete(self, call: Call) -> None:
        """Nothing to do."""

    def check(self, call: Call) -> None:
        """Raises Refused when the gateway of a configured address is another in the result."""
        previous = call.previous
        if previous is None:
            raise Refused("CHECK needs prevResult")
        ips = previous.get("ips")
        found = [i for i in ips if isinstance(i, dict)] if isinstance(ips, list) else []
        for ip in _addresses(_conf(call), call):
            same = [i for i in found if parse_cidr(i.get("address")).address == ip.address.address]
            if ip.gateway and any(pack(i.get("gateway")) != ip.gateway for i in same):
                raise Refused(f"{ip.address} has another gateway than is configured")


PLUGIN = Static()


def _parse(conf: Mapping[str, object]) -> StaticConf | None:
    try:
        return msgspec.convert(conf.get("ipam"), StaticConf)
    except msgspec.ValidationError:
        return None


def _conf(call: Call) -> StaticConf:
    conf = _parse(call.conf)
    if conf is None:
        raise Refused("the ipam section is not understood")
    return conf


def _addresses(conf: StaticConf, call: Call) -> list[IpConf]:
    found = [IpConf(parse_cidr(a.address), pack(a.gateway) if a.gateway else b"") for a in conf.addresses]
    found += [IpConf(parse_cidr(t.strip())) for t in call.arg("IP").split(",") if t.strip()]
    for text in call.arg("GATEWAY").split(","):
        if text.strip():
            gateway = pack(text.strip())
            found = [ip._replace(gateway=gateway) if ip.address.holds(gateway) else ip for ip in found]
    args = call.conf.get("args")
    cni = args.get("cni") if isinstance(args, dict) else None
    for source in (cni.get("ips") if isinstance(cni, dict) else None, call.runtime("ips")):
        if isinstance(source, list) and source:
            found = [IpConf(parse_cidr(text)) for text in source]
    families = [len(ip.address.address) for ip in found]
    version = str(call.conf.get("cniVersion") or versions.UNNAMED)
    if len(set(families)) < len(families) and not versions.at_least(version, (0, 3, 0)):
        raise Refused(f"CNI version {version} has no room for several addresses of a family")
    return found
