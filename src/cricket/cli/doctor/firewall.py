"""Packet filters: what CNI plugins call for masquerading and host ports, and rules of others that are in the way."""

from __future__ import annotations

from cricket.cli.doctor.finding import Findings, error, ok, warning
from cricket.cli.doctor.host import Host


def iptables(host: Host) -> Findings:
    """Installed, and the kernel takes a rule: tried in a network namespace of its own."""
    if "iptables" not in host.outputs:
        why = "CNI's portmap, firewall and masquerading call it: pods have no way out and no host ports."
        yield warning("iptables is not installed", why, "Install iptables.")
        return
    version = host.outputs["iptables"].text.strip()
    tried = host.outputs.get("new rule")
    if tried is None:
        yield ok(version)
    elif tried.code:
        said = " ".join(tried.text.split())[:200]
        why = f"Masquerading and host ports fail. It says: {said}"
        yield error(f"{version} cannot make a rule on this kernel", why, "Boot a kernel with nf_tables and NAT.")
    else:
        yield ok(f"{version}, and the kernel takes its rules")


def forward(host: Host) -> Findings:
    """Docker closes FORWARD for everybody."""
    output = host.outputs.get("forward")
    if output is None:
        return
    if "-P FORWARD DROP" not in output.text:
        yield ok("forwarded packets pass, unless a rule says otherwise")
        return
    if any(plugin.get("type") == "firewall" for plugin in host.networks.plugins):
        yield ok("FORWARD drops, and the network's plugin `firewall` lets pods through")
        return
    why = "Pods reach nothing beyond this node (Docker sets this policy, and so do some firewalls)."
    todo = "Add the plugin `firewall` to the network, as `cricket network init` does on such a host, or:"
    yield warning("the FORWARD chain drops what no rule accepts", why, todo, "iptables -P FORWARD ACCEPT")
