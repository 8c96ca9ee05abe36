"""CNI: the configuration that counts, its plugins, its subnet, its addresses; and name servers for pods."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

from cricket.cli.doctor.finding import Findings, error, info, ok, warning
from cricket.cli.doctor.host import Host
from cricket.cli.doctor.subnets import reservations, subnets

_FULL = 0.9


def configuration(host: Host) -> Findings:
    """There is one, it can be read, and it is the one that was meant."""
    networks, settings = host.networks, host.config.network
    for path, reason in networks.broken:
        yield warning(f"{path} is no network configuration", f"It is left out: {reason}", "Correct it, or remove it.")
    where = ", ".join(settings.conf_dirs)
    if networks.name:
        beside = f"; not used: {', '.join(networks.others)}" if networks.others else ""
        yield ok(f"network {networks.name} ({networks.path}{beside})")
    elif settings.default_network and networks.others:
        why = "NetworkReady is false: only pods in the host's network run."
        yield error(f"no network is called {settings.default_network!r}", why, "Correct network.default_network.")
    elif settings.conf_template:
        why = "The kubelet tells the node's pod CIDR when it has one; the file is made then."
        yield info(f"no network configuration in {where} yet", why)
    else:
        why = "NetworkReady is false: only pods in the host's network run."
        todo = "Install a CNI network, or let Cricket write a plain one:"
        if host.foreign:
            yield info(
                f"no network configuration for Cricket in {where}", f"{host.foreign} may have its own elsewhere."
            )
        else:
            yield error(f"no network configuration in {where}", why, todo, "cricket network init")


def plugins(host: Host) -> Findings:
    """The executables, as far as the daemon does not do their work itself."""
    networks, settings = host.networks, host.config.network
    if not networks.name:
        return
    if networks.missing:
        names = ", ".join(networks.missing)
        why = f"Pods in network {networks.name} cannot be made. Looked in {', '.join(settings.bin_dirs)}."
        yield error(
            f"missing CNI plugins: {names}",
            why,
            "Install containernetworking-plugins, or what the network's maker says.",
        )
    else:
        types = ", ".join(dict.fromkeys(str(plugin.get("type")) for plugin in networks.plugins))
        yield ok(f"plugins of {networks.name}: {types}")


def subnet(host: Host) -> Findings:
    """Pods' addresses should not be somebody else's."""
    ours = {str(plugin.get("bridge") or "cni0") for plugin in host.networks.plugins if plugin.get("type") == "bridge"}
    taken = [(net, device) for net, device in _routes(host) if device not in ours]
    clash, own = False, subnets(host.networks.plugins)
    for text in own:
        try:
            mine = ipaddress.ip_network(text, strict=False)
        except ValueError:
            continue  # the plugin will say so
        for net, device in taken:
            if mine.version == 4 and isinstance(mine, ipaddress.IPv4Network) and mine.overlaps(net):
                clash = True
                why = "What pods send there, or what is sent to pods, goes the wrong way."
                todo = "Give the network another subnet, when this is not the same network by another name."
                yield warning(f"pods' subnet {text} is also routed to {device} ({net})", why, todo)
    if own and not clash:
        yield ok(f"{' and '.join(own)}: no other route leads there")


def _routes(host: Host) -> Iterator[tuple[ipaddress.IPv4Network, str]]:
    """The IPv4 routes but the default one (proc_net(5): addresses are little-endian hexadecimal)."""
    for line in host.read("/proc/net/route").splitlines()[1:]:
        fields = line.split()
        if len(fields) > 7 and fields[7] != "00000000":
            address, mask = (bytes.fromhex(fields[i])[::-1] for i in (1, 7))
            prefix = bin(int.from_bytes(mask, "big")).count("1")
            yield ipaddress.IPv4Network((address, prefix), strict=False), fields[0]


def addresses(host: Host) -> Findings:
    """How many of host-local's addresses are taken."""
    directory = reservations(host.networks.plugins, host.networks.name)
    if not directory:
        return
    taken = [name for name in host.list(directory) if name[:1].isdigit() or ":" in name]
    nets = [ipaddress.ip_network(text, strict=False) for text in subnets(host.networks.plugins) if "/" in text]
    room = sum(max(net.num_addresses - 3, 1) for net in nets if net.version == 4)
    if room and len(taken) > room * _FULL:
        why = "The next pods fail for want of an address."
        todo = "Look for reservations without a pod (`cricket doctor addresses-left`), or give the network more."
        yield warning(f"{len(taken)} of {room} addresses of {host.networks.name} are taken", why, todo)
    else:
        yield ok(f"{len(taken)} of {room} addresses are taken" if room else f"{len(taken)} addresses are taken")


def name_servers(host: Host) -> Findings:
    """A pod with dnsPolicy Default gets the host's file, where loopback means the pod itself."""
    servers = [line.split()[1] for line in host.read("/etc/resolv.conf").splitlines() if line.startswith("nameserver ")]
    local = [address for address in servers if address.startswith("127.") or address == "::1"]
    if not servers:
        yield info("no name server in /etc/resolv.conf", "Pods with `dnsPolicy: Default` have none either.")
    elif len(local) == len(servers) and host.exists("/run/systemd/resolve/resolv.conf"):
        why = "Pods with `dnsPolicy: Default` cannot reach the host's loopback."
        todo = "Let the kubelet use the real one: resolvConf: /run/systemd/resolve/resolv.conf"
        yield info(f"the name server is {', '.join(local)}", why, todo)
    elif len(local) == len(servers):
        why = "Pods with `dnsPolicy: Default`, CoreDNS among them, cannot reach the host's loopback."
        yield warning(
            f"the only name server is {', '.join(local)}", why, "Give the kubelet a file (resolvConf) with another."
        )
    else:
        yield ok(f"name servers that pods can reach: {', '.join(s for s in servers if s not in local)}")
