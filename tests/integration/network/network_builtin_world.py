"""Two hosts, each a network namespace with pods: in one the standard plugins' executables run, in the other ours.

Everything that a plugin may leave is read with tools that are not ours (iproute2, iptables) and from /proc and files;
random names and MACs are numbered in the order in which they are met, so that what is left can be compared.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

from cricket.kernel.namespaces import in_netns, pin_namespaces, unpin
from cricket.kernel.netlink import Address, Netlink
from cricket.kernel.netlink_wire import IFA_F_TENTATIVE
from cricket.network import attach, cache, check, detach
from cricket.network.attachment import Attachment
from cricket.network.conf import NetworkConf, parse
from cricket.network.plugin import PluginFailed, Plugins

T = TypeVar("T")
Json = dict[str, Any]

# Another release of the standard plugins may be put here, to be compared with ours.
BIN_DIR = os.environ.get("CRICKET_TEST_CNI_BIN", "/usr/lib/cni")
_MAC = re.compile(r"\b(?:[0-9a-f]{2}:){5}[0-9a-f]{2}\b")
_LOCAL = re.compile(r"fe80::[0-9a-f:]+")
_VETH = re.compile(r"\bveth[0-9a-f]{8}\b")
# Counters, clocks, and numbers that a link has by chance.
_CHANCE = {
    *("ifindex", "link_index", "link_netnsid", "link_netns", "permaddr", "bridge_id", "root_id"),
    *("designated_bridge", "designated_root", "designated_port", "gc_timer", "hello_timer", "tcn_timer"),
    *("topology_change_timer", "hold_timer", "message_age_timer", "forward_delay_timer", "id", "no"),
    # The kernel tells the loss of a carrier up to a second late. (LOWER_UP is always true.)
    *("operstate", "NO-CARRIER", "linkdown"),
}


class World:
    """A host of the test's own, where either the executables or the built-ins serve."""

    def __init__(self, tmp: Path, name: str, *, builtin: bool) -> None:
        self.tmp, self.builtin = tmp / name, builtin
        self.tmp.mkdir()
        self.host = str(self.tmp / "host")
        self.pods: dict[str, str] = {}
        self.plugins = Plugins([BIN_DIR], builtin=builtin)
        self.data_dir, self.tuning_dir = self.tmp / "ipam", self.tmp / "tuning"
        self.cache_dir = str(self.tmp / "cache")
        pin_namespaces({"net": self.host})
        try:
            self.quiet(self.host)
            # Were both ends of a pair the first links of their namespaces, they would have the same number, and the
            # kernel would take a second to see a carrier.
            self.sh("ip link add noise type bridge")
        except BaseException:
            self.close()
            raise

    def quiet(self, netns: str) -> None:
        """Without duplicate address detection, which takes a second, but for links that a plugin turns it on for."""

        def work() -> None:
            for which in ("all", "default"):
                _write(f"net/ipv6/conf/{which}/accept_dad", "0")
                _write(f"net/ipv6/conf/{which}/router_solicitations", "0")
                _write(f"net/ipv6/conf/{which}/router_solicitation_delay", "0")

        in_netns(netns, work)

    def close(self) -> None:
        unpin([self.host, *self.pods.values()])

    def pod(self, container_id: str) -> str:
        if container_id not in self.pods:
            self.pods[container_id] = str(self.tmp / f"pod{len(self.pods)}")
            pin_namespaces({"net": self.pods[container_id]})
            self.quiet(self.pods[container_id])
        return self.pods[container_id]

    def forget_pod(self, container_id: str) -> None:
        """Its namespace goes, and with it, when the kernel comes to it, the interface of the host."""
        peers = set(re.findall(r"@if(\d+):", self.sh("ip -o link", container_id)))
        unpin([self.pods.pop(container_id)])
        end = time.monotonic() + 10
        while peers & set(re.findall(r"^(\d+):", self.sh("ip -o link"), re.MULTILINE)):
            assert time.monotonic() < end, "the interface of a namespace that is gone stays"
            time.sleep(0.005)

    def conf(self, text: str) -> NetworkConf:
        """A configuration in which $IPAM and $TUNING stand for directories of this host."""
        text = text.replace("$IPAM", str(self.data_dir)).replace("$TUNING", str(self.tuning_dir))
        text = text.replace("$TMP", str(self.tmp))
        return parse(text.encode(), "test")

    def sh(self, command: str, container_id: str = "") -> str:
        netns = self.pod(container_id) if container_id else self.host
        done = in_netns(netns, lambda: subprocess.run(["sh", "-c", command], capture_output=True, text=True))
        assert done.returncode == 0, (command, done.stderr)
        return done.stdout

    def attachment(self, container_id: str, **more: Any) -> Attachment:
        return Attachment(container_id, self.pod(container_id), **more)

    def add(self, conf: NetworkConf, attachment: Attachment, *, plugins: Plugins | None = None) -> Json:
        """ADD; a failure is returned as its code."""
        chosen = plugins or self.plugins
        try:
            return dict(self._run(lambda: attach.attach(conf, attachment, chosen, self.cache_dir)))
        except PluginFailed as e:
            return {"code": e.cni_code, "plugin": e.plugin}

    def check(self, *, builtin: bool) -> list[int]:
        """CHECK of everything that is attached; the codes of the failures."""
        plugins, failed = Plugins([BIN_DIR], builtin=builtin), []
        for entry in cache.read(self.cache_dir):
            try:
                self._run(lambda entry=entry: check.check_entry(entry, "", plugins))  # type: ignore[misc]  # a lambda
            except PluginFailed as e:
                failed.append(e.cni_code)
        return failed

    def delete(self, *, builtin: bool | None = None, times: int = 1) -> None:
        """DEL of everything that is attached, by the same or by the other kind of plugins."""
        plugins = Plugins([BIN_DIR], builtin=self.builtin if builtin is None else builtin)
        for entry in reversed(cache.read(self.cache_dir)):
            for _ in range(times):
                self._run(
                    lambda entry=entry: detach.detach_entry(entry, "", None, plugins, self.cache_dir)  # type: ignore[misc]
                )

    def _run(self, work: Callable[[], Awaitable[T]]) -> T:
        async def main() -> T:
            return await work()

        return in_netns(self.host, lambda: asyncio.run(main()))

    def left(self) -> Json:
        """Everything that can be seen of host, pods and files."""
        places = {"host": self.host, **self.pods}
        for netns in places.values():
            _settle(netns)
        states = {name: in_netns(netns, _netns_state) for name, netns in places.items()}
        seen = _Names(self)
        for state in states.values():
            seen.meet(state["links"])
        return {"files": seen.plain(_files(self.tmp)), **{k: seen.state(v) for k, v in states.items()}}

    def plain(self, result: Json) -> Json:
        """A result that can be compared: names and paths are numbered, what means nothing is left out."""
        found = dict(_Names(self).plain(result))
        if not any(found.get("dns", {}).values()):
            found.pop("dns", None)
        if not found.get("routes", True):
            found.pop("routes")
        return found


class _Names:
    """Numbers for what is random."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.known: dict[str, str] = {}

    def meet(self, links: list[Json]) -> None:
        """Number what links have, in the order in which they were made."""
        for link in links:
            self.text(link["ifname"])
            mac = self.text(link["address"])
            octets = bytearray.fromhex(link["address"].replace(":", ""))
            octets[0] ^= 2
            local = (b"\xfe\x80" + bytes(6) + octets[:3] + b"\xff\xfe" + octets[3:]).hex()
            self.known[socket.inet_ntop(socket.AF_INET6, bytes.fromhex(local))] = f"LOCAL of {mac}"

    def state(self, state: Json) -> Json:
        """Of a namespace; what has no order of its own is sorted."""
        found: Json = {name: self.plain(value) for name, value in state.items()}
        for name in ("routes", "routes6", "addresses"):
            for item in found[name]:
                if "addr_info" in item:
                    item["addr_info"].sort(key=lambda v: json.dumps(v, sort_keys=True))
            found[name].sort(key=lambda v: json.dumps(v, sort_keys=True))
        return found

    def plain(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {self.text(k): self.plain(v) for k, v in sorted(value.items()) if k not in _CHANCE}
        if isinstance(value, list):
            return [self.plain(v) for v in value if v not in tuple(_CHANCE)]
        return self.text(value) if isinstance(value, str) else value

    def text(self, text: str) -> str:
        for number, path in enumerate(self.world.pods.values()):
            text = text.replace(path, f"POD{number}")
        text = text.replace(str(self.world.tmp), "TMP")
        for kind, pattern in (("VETH", _VETH), ("MAC", _MAC), ("LOCAL", _LOCAL)):
            text = pattern.sub(lambda m, kind=kind: self.number(kind, m.group()), text)  # type: ignore[misc]  # a lambda
        return text

    def number(self, kind: str, found: str) -> str:
        if kind == "MAC":
            # Nobody's, everybody's, and those that a test has asked for are told as they are.
            if found == "c2:11:22:33:44:55" or found == "00:00:00:00:00:00" or int(found[:2], 16) & 1:
                return found
            assert int(found[:2], 16) & 2, f"{found} is not marked as locally administered"
        count = sum(v.startswith(kind) for v in self.known.values())
        return self.known.setdefault(found, f"{kind}{count}")


_COMMANDS = {
    "links": "ip -j -d link show",
    "addresses": "ip -j addr show",
    "ports": "bridge -j -d link show",
    "routes": "ip -j -d route show table all",
    "routes6": "ip -j -d -6 route show table all",
    "rules": "iptables-save; ip6tables-save",
}


def _netns_state() -> Json:
    """Of the namespace that the thread is in."""
    script = "; echo @; ".join(_COMMANDS.values())
    done = subprocess.run(["sh", "-ec", script], capture_output=True, text=True, check=True)
    parts = dict(zip(_COMMANDS, done.stdout.split("@\n"), strict=True))
    rules = [re.sub(r"\[\d+:\d+\]", "", r) for r in parts.pop("rules").splitlines() if not r.startswith("#")]
    out: Json = {name: json.loads(text or "[]") for name, text in parts.items()}
    return {**out, "rules": rules, "sysctls": _sysctls()}


def _sysctls() -> dict[str, str]:
    """All that are of links, and whether this host routes."""
    found = {}
    for family in ("ipv4", "ipv6"):
        for link in os.listdir(f"/proc/sys/net/{family}/conf"):
            for name in os.listdir(f"/proc/sys/net/{family}/conf/{link}"):
                if name not in ("stable_secret", "mc_forwarding", *_CHANCE):
                    with contextlib.suppress(PermissionError):
                        found[f"{family}/{link}/{name}"] = _read(f"net/{family}/conf/{link}/{name}")
    for name in ("ipv4/ip_forward", "core/somaxconn"):
        found[name] = _read(f"net/{name}")
    return found


def _files(tmp: Path) -> dict[str, list[str]]:
    """Contents and modes of what the plugins wrote. Of the lock only its users see anything."""
    found = {}
    for directory in (tmp / "ipam", tmp / "tuning"):
        for path in sorted(directory.rglob("*")):
            if path.is_file() and path.name != "lock":
                found[str(path.relative_to(tmp))] = [oct(path.stat().st_mode & ~MASKED), path.read_text()]
    return found


def _settle(netns: str) -> None:
    """Link-local addresses come when a carrier does, in the background."""

    def addresses() -> list[Address]:
        with Netlink() as netlink:
            return netlink.addresses()

    end = time.monotonic() + 5
    previous: list[Address] = []
    while time.monotonic() < end:
        now = in_netns(netns, addresses)
        if now == previous and not any(a.flags & IFA_F_TENTATIVE for a in now):
            return
        previous = now
        time.sleep(0.01)


def _write(name: str, value: str) -> None:
    Path(f"/proc/sys/{name}").write_text(value)


def _read(name: str) -> str:
    fd = os.open(f"/proc/sys/{name}", os.O_RDONLY)
    try:
        return os.read(fd, 4096).decode().strip()
    finally:
        os.close(fd)


def differences(one: Any, other: Any, path: str = "") -> list[str]:
    """Where two values differ, for people."""
    if isinstance(one, dict) and isinstance(other, dict):
        keys = sorted(one.keys() | other.keys())
        return [d for k in keys for d in differences(one.get(k), other.get(k), f"{path}/{k}")]
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        return [d for i, (a, b) in enumerate(zip(one, other, strict=True)) for d in differences(a, b, f"{path}/{i}")]
    return [] if one == other else [f"{path[-60:]}: {one!r} is {other!r} with the built-in"]


def _speaks(version: str) -> bool:
    bridge = shutil.which("bridge", path=BIN_DIR)
    env = {"CNI_COMMAND": "VERSION", "PATH": os.environ["PATH"]}
    done = subprocess.run([bridge or "bridge"], input=b'{"cniVersion":"1.0.0"}', capture_output=True, env=env)
    return done.returncode == 0 and version in json.loads(done.stdout)["supportedVersions"]


# Executables of before 1.4 (of 2023) let everybody read the reservations, and set the length of a queue that veths do
# not have, and do not keep IPv6 addresses of a link that goes down. We do as the newer ones.
NEWER = _speaks("1.1.0")
MASKED = 0 if NEWER else 0o044
if not NEWER:
    _CHANCE |= {"txqlen", "keep_addr_on_down"}
