"""What the portmap plugin is configured with, and which ports of the host lead to which of the pod."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec

from cricket.kernel.nftables_rule import PROTOCOLS
from cricket.network.builtin.addresses import Cidr, pack, parse_cidr
from cricket.network.builtin.base import Call, Refused
from cricket.network.builtin.conf import PluginConf, parse
from cricket.network.builtin.expected import items, previous

_CAPABILITIES = frozenset({"portMappings"})


class PortmapConf(PluginConf, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The configuration. With `conditionsV4` or `conditionsV6`, which are words of iptables, the executable runs."""

    backend: str | None = None
    snat: bool | None = None
    masqAll: bool = False
    markMasqBit: int | None = None
    externalSetMarkChain: str | None = None
    conditionsV4: list[str] | None = None
    conditionsV6: list[str] | None = None

    @property
    def understood(self) -> bool:
        """Whether the values are those that are done here."""
        if self.backend not in (None, "iptables") or self.conditionsV4 or self.conditionsV6:
            return False
        if self.markMasqBit is not None and (self.externalSetMarkChain is not None or not 0 <= self.markMasqBit < 32):
            return False  # the executable says what is wrong
        return self.externalSetMarkChain is None or 0 < len(self.externalSetMarkChain.encode()) < _LONGEST_CHAIN

    @property
    def mark(self) -> int:
        """The mark of packets that are to be masqueraded; bit 13 by default (Kubernetes uses 14 and 15)."""
        return 1 << (13 if self.markMasqBit is None else self.markMasqBit)


_LONGEST_CHAIN = 29  # XT_EXTENSION_MAXNAMELEN


class _Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    hostPort: int
    containerPort: int
    protocol: str
    hostIP: str = ""


class PortMapping(NamedTuple):
    """One port of the host that leads to one of the pod; `host_ip` packed, b"" for all of the host's addresses."""

    protocol: str
    host_port: int
    container_port: int
    host_ip: bytes = b""

    def is_for(self, family_size: int) -> bool:
        """Whether it holds for addresses of 4 or of 16 bytes."""
        return not self.host_ip or len(self.host_ip) == family_size


def conf_of(conf: Mapping[str, object]) -> PortmapConf | None:
    """The configuration, None when the executable must run."""
    found = parse(conf, PortmapConf, _CAPABILITIES)
    if found is None or not found.understood:
        return None
    return found if _entries(found.runtimeConfig) is not None else None


def mappings(conf: PortmapConf) -> list[PortMapping]:
    """The port mappings that the pod asks for. Raises Refused for impossible ones."""
    found = []
    for entry in _entries(conf.runtimeConfig) or ():
        for port in (entry.hostPort, entry.containerPort):
            if not 0 < port < 65536:
                raise Refused(f"there is no port {port}")
        host_ip = pack(entry.hostIP) if entry.hostIP else b""
        found.append(PortMapping(entry.protocol, entry.hostPort, entry.containerPort, host_ip))
    return found


def _entries(runtime: Mapping[str, object]) -> Sequence[_Entry] | None:
    try:
        found = msgspec.convert(runtime.get("portMappings") or [], list[_Entry])
    except msgspec.ValidationError:
        return None
    return found if all(e.protocol in PROTOCOLS for e in found) else None


def pod_addresses(call: Call) -> list[Cidr]:
    """The first IPv4 and the first IPv6 address of the pod's interface, as far as there are any. Raises Refused."""
    found_so_far = previous(call)
    interfaces = items(found_so_far, "interfaces")
    found: dict[int, Cidr] = {}
    for item in items(found_so_far, "ips"):
        index = item.get("interface")
        if type(index) is int and 0 <= index < len(interfaces):
            interface = interfaces[index]
            if interface.get("name") != call.attachment.ifname or not interface.get("sandbox"):
                continue
        address = parse_cidr(item.get("address"))
        found.setdefault(len(address.address), address)
    return [found[size] for size in sorted(found)]
