"""What is left of pods' networks: reservations of addresses, and interfaces on the bridge, without a pod."""

from __future__ import annotations

import json
from collections.abc import Iterable

from cricket.cli.doctor.finding import Findings, info, ok, warning
from cricket.cli.doctor.host import Host
from cricket.cli.doctor.subnets import reservations
from cricket.cli.doctor.wording import counted, some

# Where libcni, and so containerd, CRI-O and podman, keep results.
_FOREIGN = "/var/lib/cni/results"
_SHOWN = 5


def addresses(host: Host) -> Findings:
    """host-local's reservations whose pod nobody knows."""
    directory = reservations(host.networks.plugins, host.networks.name)
    if not directory:
        return
    known = host.known.sandboxes
    foreign = set(_owners(host, _FOREIGN))
    strays = []
    for name in host.list(directory):
        if name[:1].isdigit() or ":" in name:
            owner = host.read(f"{directory}/{name}").split()[:1]
            if owner and owner[0] not in known and owner[0] not in foreign:
                strays.append(name)
    if strays:
        why = "They are never given out again; with enough of them new pods find no address."
        todo = "The daemon gives them back at its start. Files of owners that nobody knows can be removed."
        which = f"{counted(len(strays), 'address', 'addresses')} of {host.networks.name}"
        command = "rm " + " ".join(f"{directory}/{name}" for name in strays) if len(strays) <= _SHOWN else ""
        yield warning(f"{which} reserved for no pod: {some(strays)}", why, todo, command)
    else:
        yield ok("every reserved address belongs to a pod")


def interfaces(host: Host) -> Findings:
    """Ports of the network's bridges that are in no result."""
    bridges = [str(p.get("bridge") or "cni0") for p in host.networks.plugins if p.get("type") == "bridge"]
    cache = host.config.network.cache_dir or f"{host.config.root}/network"
    ours = [name for name in host.list(f"{cache}/results") if set(name.split("-")) & host.known.sandboxes]
    foreign = [f"{_FOREIGN}/{name}" for name in host.list(_FOREIGN)]
    named = set(_interfaces(host, [*(f"{cache}/results/{name}" for name in ours), *foreign]))
    strays = {
        bridge: [port for port in host.list(f"/sys/class/net/{bridge}/brif") if port not in named] for bridge in bridges
    }
    for bridge, ports in strays.items():
        if ports:
            why = "Something keeps their network namespaces alive: a pin, a process, another user of the bridge."
            yield info(
                f"{counted(len(ports), 'interface')} on {bridge} of no pod: {some(ports)}",
                why,
                "",
                f"ip link show {ports[0]}",
            )
    if bridges and not any(strays.values()):
        yield ok("every interface on the bridge belongs to a pod")


def _owners(host: Host, directory: str) -> list[str]:
    """The container ids in names like NETWORK-ID-IFNAME."""
    return [parts[-2] for name in host.list(directory) if len(parts := name.split("-")) >= 3]


def _interfaces(host: Host, results: Iterable[str]) -> list[str]:
    """The interfaces that cached results name."""
    found = []
    for path in results:
        try:
            entries = json.loads(host.read(path))["result"]["interfaces"]
            found += [str(entry["name"]) for entry in entries]
        except (ValueError, KeyError, TypeError):
            continue  # not complete, or of an old version without interfaces
    return found
