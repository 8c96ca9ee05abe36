"""Networks of the tests' own: a bridge, a subnet, directories and namespaces by name, all gone afterwards."""

from __future__ import annotations

import itertools
import json
import os
import secrets
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cricket.kernel.namespaces import pin_namespaces, unpin
from cricket.kernel.netlink import Netlink
from cricket.network import Network
from cricket.types.sandbox import SandboxConfig, SandboxMetadata

BIN_DIR = "/usr/lib/cni"
_subnets = itertools.count(int.from_bytes(os.urandom(1)))


class Net:
    """What a test configures and looks at."""

    def __init__(self, tmp: Path) -> None:
        self.tmp = tmp
        self.conf_dir, self.cache_dir, self.bin_dir = tmp / "net.d", tmp / "cache", tmp / "bin"
        self.data_dir = tmp / "ipam"
        for directory in (self.conf_dir, self.bin_dir):
            directory.mkdir()
        self.bridge = f"ckt{secrets.token_hex(4)}"
        self.name = f"net-{self.bridge}"
        self.third = next(_subnets) % 256
        self.subnet = f"10.198.{self.third}.0/24"
        self.subnet6 = f"fd00:198:{self.third:x}::/64"
        self.netns: list[str] = []
        self.ids: list[str] = []

    def network(self, **settings: object) -> Network:
        """A new Network, as after a restart."""
        dirs = [str(self.bin_dir), BIN_DIR]
        return Network([str(self.conf_dir)], dirs, str(self.cache_dir), **settings)  # type: ignore[arg-type]  # tests

    def bridge_plugin(self, *subnets: str, **more: object) -> dict[str, object]:
        ranges = [[{"subnet": s}] for s in subnets or (self.subnet,)]
        ipam = {"type": "host-local", "dataDir": str(self.data_dir), "ranges": ranges}
        ipam["routes"] = [{"dst": "::/0" if ":" in s else "0.0.0.0/0"} for s in subnets or (self.subnet,)]
        return {"type": "bridge", "bridge": self.bridge, "isGateway": True, "ipam": ipam, **more}

    def write(self, *plugins: dict[str, object], file: str = "10-test.conflist", **more: object) -> Path:
        body = {"cniVersion": "1.0.0", "name": self.name, "plugins": list(plugins), **more}
        path = self.conf_dir / file
        path.write_text(json.dumps(body))
        return path

    def script(self, name: str, text: str) -> None:
        """A plugin of the test's own, in sh."""
        path = self.bin_dir / name
        path.write_text("#!/bin/sh\n" + text)
        path.chmod(0o755)

    def sandbox(self) -> tuple[str, str]:
        """A new sandbox id with a pinned network namespace."""
        sandbox_id = secrets.token_hex(32)
        path = str(self.tmp / sandbox_id[:12])
        pin_namespaces({"net": path})
        self.netns.append(path)
        self.ids.append(sandbox_id)
        return sandbox_id, path

    def reserved(self) -> list[str]:
        """The addresses that host-local holds."""
        directory = self.data_dir / self.name
        return (
            sorted(p.name for p in directory.iterdir() if not p.name.startswith(("last_", "lock")))
            if directory.is_dir()
            else []
        )

    def cached(self) -> list[Path]:
        return sorted((self.cache_dir / "results").glob("*"))


def config(**changes: object) -> SandboxConfig:
    meta = SandboxMetadata(name="pod", uid="uid-1", namespace="ns")
    return SandboxConfig(metadata=meta, **changes)  # type: ignore[arg-type]  # tests


@pytest.fixture
def net(tmp_path: Path) -> Iterator[Net]:
    """A test's network; afterwards nothing of it may be left on the host."""
    value = Net(tmp_path)
    yield value
    unpin(value.netns)
    with Netlink() as netlink:
        left = _ports(netlink, value.bridge)
        netlink.delete_link(value.bridge)
    rules = subprocess.run(["iptables-save"], capture_output=True, check=True, text=True).stdout
    rules += subprocess.run(["ip6tables-save"], capture_output=True, check=True, text=True).stdout
    leaks = [line for line in rules.splitlines() if any(i in line for i in (*value.ids, value.subnet.split("/")[0]))]
    assert (left, leaks, value.reserved()) == ([], [], [])


def _ports(netlink: Netlink, bridge: str) -> list[str]:
    """What is still on the bridge once the kernel has had time to take a namespace's interfaces away."""
    end = time.monotonic() + 10
    while True:
        links = netlink.links()
        owners = {link.ifindex: link.name for link in links}
        ports = [link.name for link in links if owners.get(link.master) == bridge]
        if not ports or time.monotonic() > end:
            return ports
        time.sleep(0.005)
