"""Warm sandboxes as they lie on the machine, found without asking the daemon: what belongs to each, and is it whole."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from harness.network import TestNetwork


class WarmOne(NamedTuple):
    """A warm sandbox. `addresses` and `ports` are those that its file tells."""

    id: str
    addresses: frozenset[str]
    ports: frozenset[str]

    def owns(self, name: str) -> bool:
        """Whether a path, a file name, an address, a port or a firewall rule is its."""
        return self.id in name or name in self.addresses or name in self.ports


def warm_ones(state: Path, records: Iterable[str]) -> list[WarmOne]:
    """Those that no record names; `records` are lines that hold ids."""
    known = " ".join(records)
    found = []
    for file in sorted((state / "sandboxes").glob("*/warm")):
        try:
            told = json.loads(file.read_bytes())
        except FileNotFoundError:
            continue  # claimed at this moment
        if told["id"] not in known:
            found.append(WarmOne(told["id"], frozenset(told["ips"]), frozenset(_ports(told["result"]))))
    return found


def troubles(one: WarmOne, state: Path, root: Path, network: TestNetwork, mounts: Iterable[str]) -> list[str]:
    """What is missing of it; empty when it is whole."""
    mounted = set(mounts)
    directory = state / "sandboxes" / one.id
    wanted = {str(directory / "ns" / kind) for kind in ("net", "uts", "ipc")} | {str(directory / "shm")}
    missing = [f"mount {path}" for path in sorted(wanted - mounted)]
    for address in one.addresses:
        try:
            owner = (network.data_dir / network.name / address).read_text()
        except FileNotFoundError:
            owner = ""
        if one.id not in owner:
            missing.append(f"address {address}")
    missing += [f"port {port}" for port in sorted(one.ports - set(network.ports()))]
    cached = root / "network" / "results" / f"{network.name}-{one.id}-eth0"
    if not cached.exists() or "result" not in json.loads(cached.read_bytes()):
        missing.append("cached result")
    return missing


def _ports(result: dict[str, Any]) -> list[str]:
    return [i["name"] for i in result["interfaces"] if not i.get("sandbox") and i["name"].startswith("veth")]
