"""Routes as configurations and results hold them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from cricket.network.builtin.addresses import Cidr, pack, parse_cidr, unpack
from cricket.network.builtin.base import Refused
from cricket.network.result import Json


class RouteConf(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A route of an `ipam` section. `mtu` and `advmss` go into the result; no standard plugin sets them."""

    dst: str
    gw: str = ""
    mtu: int = 0
    advmss: int = 0
    priority: int = 0
    table: int | None = None
    scope: int | None = None


class Route(msgspec.Struct, frozen=True):
    """A route to be made."""

    destination: Cidr
    gateway: bytes = b""
    priority: int = 0
    table: int | None = None
    scope: int | None = None


def to_json(routes: Sequence[RouteConf]) -> list[Json]:
    """As they stand in a result, addresses in canonical form. Raises Refused."""
    out: list[Json] = []
    for route in routes:
        value: Json = {**msgspec.to_builtins(route), "dst": str(parse_cidr(route.dst))}
        if route.gw:
            value["gw"] = unpack(pack(route.gw))
        out.append(value)
    return out


def parse(routes: Sequence[Mapping[str, object]]) -> list[Route]:
    """The routes of a result. Raises Refused."""
    try:
        return [
            Route(
                destination=parse_cidr(r.get("dst")),
                gateway=pack(r["gw"]) if r.get("gw") else b"",
                priority=msgspec.convert(r.get("priority") or 0, int),
                table=msgspec.convert(r.get("table"), int | None),
                scope=msgspec.convert(r.get("scope"), int | None),
            )
            for r in routes
        ]
    except msgspec.ValidationError as e:
        raise Refused("a route of the result is not as the specification says", str(e)) from e
