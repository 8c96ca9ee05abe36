"""A pod network of the test's own: a bridge, a subnet and a conflist of Debian's CNI plugins."""

from __future__ import annotations

import ipaddress
import json
import secrets
import subprocess
from pathlib import Path
from typing import Any

BIN_DIR = "/usr/lib/cni"


class TestNetwork:
    """`conf_dir` holds the conflist; `close()` takes the bridge and the masquerading rules away."""

    __test__ = False

    def __init__(self, directory: Path, *, dual_stack: bool = True) -> None:
        self.directory = directory
        self.bridge = f"ckt{secrets.token_hex(5)}"
        self.name = f"net-{self.bridge}"
        self.subnets = _free_subnets(dual_stack)
        self.conf_dir, self.data_dir = directory / "net.d", directory / "ipam"
        self.conf_dir.mkdir(parents=True)
        self.write()

    def write(self, *more: dict[str, Any], version: str = "1.0.0") -> Path:
        """(Re)write the conflist: bridge with host-local addresses, portmap, and `more` plugins."""
        routes = [{"dst": "::/0" if ":" in subnet else "0.0.0.0/0"} for subnet in self.subnets]
        ranges = [[{"subnet": subnet}] for subnet in self.subnets]
        ipam = {"type": "host-local", "dataDir": str(self.data_dir), "ranges": ranges, "routes": routes}
        bridge = {"type": "bridge", "bridge": self.bridge, "isGateway": True, "ipMasq": True, "hairpinMode": True}
        portmap = {"type": "portmap", "capabilities": {"portMappings": True}}
        body = {"cniVersion": version, "name": self.name, "plugins": [{**bridge, "ipam": ipam}, portmap, *more]}
        path = self.conf_dir / "10-test.conflist"
        path.write_text(json.dumps(body))
        return path

    def reserved(self) -> list[str]:
        """The addresses that host-local has given out."""
        directory = self.data_dir / self.name
        names = (path.name for path in directory.iterdir()) if directory.is_dir() else ()
        return sorted(name for name in names if not name.startswith("last_reserved_ip") and name != "lock")

    def ports(self) -> list[str]:
        """Host ends of veth pairs at the bridge."""
        directory = Path(f"/sys/class/net/{self.bridge}/brif")
        return sorted(path.name for path in directory.iterdir()) if directory.is_dir() else []

    def rules(self, *words: str) -> list[str]:
        """iptables rules that name this network (CNI writes it into comments) or one of `words`."""
        found = []
        for command in ("iptables-save", "ip6tables-save"):
            done = subprocess.run([command], capture_output=True, text=True, check=True)
            found += [line for line in done.stdout.splitlines() if any(w in line for w in (self.name, *words))]
        return found

    def close(self) -> None:
        """Idempotent."""
        subprocess.run(["ip", "link", "delete", self.bridge], check=False, capture_output=True)


def _free_subnets(dual_stack: bool) -> tuple[str, ...]:
    """Subnets that no route of this machine leads to: several test runs may go on beside each other."""
    used = subprocess.run(["ip", "route", "show"], capture_output=True, text=True, check=True).stdout
    for _ in range(1000):
        a, b = 64 + secrets.randbelow(64), secrets.randbelow(256)
        net = ipaddress.ip_network(f"10.{a}.{b}.0/24")
        if f"10.{a}.{b}." not in used:
            return (str(net), f"fd00:10:{a:x}:{b:x}::/64") if dual_stack else (str(net),)
    raise AssertionError("no subnet is free")
