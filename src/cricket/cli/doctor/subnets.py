"""The subnets of pods, as CNI's address management (ipam) names them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any


def subnets(plugins: Iterable[Mapping[str, Any]]) -> list[str]:
    """Every subnet in the `ipam` sections: `subnet`, and `ranges`, as host-local has them."""
    found: list[str] = []
    for plugin in plugins:
        ipam = plugin.get("ipam")
        if not isinstance(ipam, dict):
            continue
        ranges = [r for group in _list(ipam.get("ranges")) for r in _list(group) if isinstance(r, dict)]
        found += [str(r["subnet"]) for r in (ipam, *ranges) if r.get("subnet")]
    return found


def reservations(plugins: Iterable[Mapping[str, Any]], network: str) -> str:
    """The directory of host-local's reservations for a network, "" when another plugin gives addresses."""
    for plugin in plugins:
        ipam = plugin.get("ipam")
        if isinstance(ipam, dict) and ipam.get("type") == "host-local":
            return f"{ipam.get('dataDir') or '/var/lib/cni/networks'}/{network}"
    return ""


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
