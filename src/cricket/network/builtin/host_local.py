"""IPAM host-local: addresses from ranges, reserved in files (plugins/ipam/host-local of the standard plugins)."""

from __future__ import annotations

import os
from collections.abc import Mapping

import msgspec

from cricket.errors import Internal, map_errors
from cricket.network import versions
from cricket.network.builtin import host_local_store as store
from cricket.network.builtin import routes
from cricket.network.builtin.addresses import IpConf, pack, unpack
from cricket.network.builtin.base import Builtin, Call, Refused
from cricket.network.builtin.conf import Dns
from cricket.network.builtin.host_local_ranges import RangeConf, RangeSet, candidates, range_of, range_sets
from cricket.network.result import Json


class HostLocalConf(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The `ipam` section."""

    type: str
    subnet: str = ""
    rangeStart: str = ""
    rangeEnd: str = ""
    gateway: str = ""
    ranges: list[list[RangeConf]] = []
    routes: list[routes.RouteConf] | None = None
    dataDir: str = ""
    resolvConf: str = ""


class HostLocal(Builtin):
    """See the module."""

    anonymous = True

    def understands(self, conf: Mapping[str, object]) -> bool:
        """See `Builtin`."""
        return _parse(conf) is not None

    def add(self, call: Call) -> Json:
        """Reserve one address of each range set. Raises Refused when a set is exhausted or a wish cannot be met."""
        conf = _conf(call)
        sets = range_sets(_written(conf, call))
        _check_version(call, sets)
        out: Json = {"cniVersion": versions.NEWEST}
        if conf.resolvConf:
            out["dns"] = _dns(conf.resolvConf)
        wanted = list(dict.fromkeys(_requested(call)))
        id_, ifname = call.attachment.container_id, call.attachment.ifname
        with store.locked(store.directory(conf.dataDir, call.network)) as reservations:
            ips: list[Json] = []
            try:
                for number, ranges in enumerate(sets):
                    wish = next((w for w in wanted if range_of(ranges, w)), None)
                    if wish is None:
                        ip = _next(ranges, number, reservations, id_, ifname)
                    else:
                        wanted.remove(wish)
                        ip = _this(wish, ranges, number, reservations, id_, ifname)
                    ips.append(ip.to_json())
                if wanted:
                    raise Refused(f"no range holds the requested address {', '.join(unpack(w) for w in wanted)}")
            except BaseException:
                if ips:
                    reservations.release(id_, ifname)
                raise
        out["ips"] = ips
        if conf.routes:
            out["routes"] = routes.to_json(conf.routes)
        return out

    def delete(self, call: Call) -> None:
        """Release the attachment's addresses, whatever the ranges are by now."""
        directory = store.directory(_conf(call).dataDir, call.network)
        if os.path.isdir(directory):
            with store.locked(directory) as reservations:
                reservations.release(call.attachment.container_id, call.attachment.ifname)

    def check(self, call: Call) -> None:
        """Raises Refused when the attachment has no address any more."""
        with store.locked(store.directory(_conf(call).dataDir, call.network)) as reservations:
            if not reservations.owned(call.attachment.container_id, call.attachment.ifname):
                raise Refused(f"no address is reserved for {call.attachment.container_id}")


PLUGIN = HostLocal()


def _parse(conf: Mapping[str, object]) -> HostLocalConf | None:
    try:
        return msgspec.convert(conf.get("ipam"), HostLocalConf)
    except msgspec.ValidationError:
        return None


def _conf(call: Call) -> HostLocalConf:
    conf = _parse(call.conf)
    if conf is None:
        raise Refused("the ipam section is not understood")
    return conf


def _written(conf: HostLocalConf, call: Call) -> list[list[RangeConf]]:
    """The range sets: the kubelet's first, then a range that stands directly in the section, then the list."""
    direct = RangeConf(conf.subnet, conf.rangeStart, conf.rangeEnd, conf.gateway)
    try:
        given = msgspec.convert(call.runtime("ipRanges") or [], list[list[RangeConf]])
    except msgspec.ValidationError as e:
        raise Refused("the capability ipRanges is not a list of range sets", str(e)) from e
    return [*given, *([[direct]] if direct.subnet else []), *conf.ranges]


def _requested(call: Call) -> list[bytes]:
    """The addresses that are wished for: by CNI_ARGS, by `args.cni`, by capability."""
    args = call.conf.get("args")
    cni = args.get("cni") if isinstance(args, dict) else None
    found = [call.arg("IP")] if call.arg("IP") else []
    for source in (cni.get("ips") if isinstance(cni, dict) else None, call.runtime("ips")):
        found += source if isinstance(source, list) else []
    return [pack(str(text).partition("/")[0]) for text in found]


def _check_version(call: Call, sets: tuple[RangeSet, ...]) -> None:
    """Results before 0.3.0 have room for one address of each family."""
    sizes = [ranges[0].size for ranges in sets]
    version = str(call.conf.get("cniVersion") or versions.UNNAMED)
    if len(set(sizes)) < len(sizes) and not versions.at_least(version, (0, 3, 0)):
        raise Refused(f"CNI version {version} has no room for several addresses of a family")


def _next(ranges: RangeSet, number: int, reservations: store.Store, id_: str, ifname: str) -> IpConf:
    held = [a for a in reservations.known(id_, ifname) if _in(ranges, a)]
    if held:
        raise Refused(f"{id_} has the address {held[0]} already, and may not get another")
    last = reservations.last(number)
    for chosen, value in candidates(ranges, _packed(last)):
        cidr = chosen.cidr(value)
        address = unpack(cidr.address)
        if not reservations.taken(address) and reservations.reserve(address, id_, ifname, number):
            return IpConf(cidr, chosen.gateway.to_bytes(chosen.size, "big"))
    raise Refused(f"no address is free in {','.join(map(str, ranges))}")


def _this(wish: bytes, ranges: RangeSet, number: int, reservations: store.Store, id_: str, ifname: str) -> IpConf:
    chosen = range_of(ranges, wish)
    value, address = int.from_bytes(wish, "big"), unpack(wish)
    if chosen is None or value == chosen.gateway:
        raise Refused(f"the requested address {address} is the gateway's")
    if not reservations.reserve(address, id_, ifname, number):
        raise Refused(f"the requested address {address} is not free in {','.join(map(str, ranges))}")
    return IpConf(chosen.cidr(value), chosen.gateway.to_bytes(chosen.size, "big"))


def _packed(text: str) -> bytes | None:
    try:
        return pack(text)
    except Refused:
        return None


def _in(ranges: RangeSet, address: str) -> bool:
    packed = _packed(address)
    return packed is not None and range_of(ranges, packed) is not None


def _dns(path: str) -> Json:
    with map_errors(OSError, Internal, "cannot read resolvConf", where=path), open(path, encoding="utf-8") as f:
        lines = [line.split() for line in f]
    nameservers, domain, search, options = [], "", [], []  # type: list[str], str, list[str], list[str]
    for key, *values in (w for w in lines if len(w) > 1 and w[0][0] not in "#;"):
        if key == "nameserver":
            nameservers.append(values[0])
        elif key == "domain":
            domain = values[0]
        elif key == "search":
            search += values
        elif key == "options":
            options += values
    found: Json = msgspec.to_builtins(Dns(nameservers, domain, search, options))
    return found
