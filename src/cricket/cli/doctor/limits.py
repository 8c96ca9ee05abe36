"""Sysctls: limits that a node with many pods meets, and how packets are forwarded."""

from __future__ import annotations

from cricket.cli.doctor.finding import Findings, error, info, ok, warning
from cricket.cli.doctor.host import Host
from cricket.cli.doctor.remedies import load, set_sysctl
from cricket.cli.doctor.subnets import subnets

# Name, least value, what to set, what happens below it.
_INOTIFY = (
    (
        "fs.inotify.max_user_instances",
        512,
        8192,
        "Kubelet, log followers and programs in pods each take one; then they fail with `too many open files`.",
    ),
    (
        "fs.inotify.max_user_watches",
        65536,
        524288,
        "Followers of many files fail with `no space left on device` although the disk has room.",
    ),
)
_FILES = 100_000
_DAEMON_FILES = 65_536
_PIDS = 65_536
_CONNTRACK = 131_072
_FULL = 0.8


def inotify(host: Host) -> Findings:
    """Limits for each user, and containers' root is the host's."""
    low = False
    for name, least, wanted, why in _INOTIFY:
        value = host.sysctl(name)
        if value is not None and value < least:
            low = True
            yield warning(f"{name} is {value}", why, command=set_sysctl(name, wanted))
    if not low:
        yield ok("inotify limits")


def open_files(host: Host) -> Findings:
    """The system's limit, what is used of it, and the daemon's own."""
    limit = host.sysctl("fs.file-max")
    used = host.number("/proc/sys/fs/file-nr") or 0
    fine = True
    if limit is not None and used > limit * _FULL:
        fine = False
        why = "Soon nothing on this host can open a file."
        yield error(
            f"{used} of {limit} files are open", why, "Find who leaks them, or:", set_sysctl("fs.file-max", 4 * limit)
        )
    elif limit is not None and limit < _FILES:
        fine = False
        yield warning(f"fs.file-max is {limit}", "Pods share this limit.", command=set_sysctl("fs.file-max", 1 << 20))
    own = _daemon_limit(host)
    if own is not None and own < _DAEMON_FILES:
        fine = False
        why = "It opens several files for each container, and a limit of its own is what containers inherit."
        yield warning(
            f"the daemon may open only {own} files", why, "Set LimitNOFILE=1048576 in its unit and restart it."
        )
    if fine:
        yield ok(f"{used} of {limit} files are open" if limit is not None and limit < 1 << 40 else f"{used} open files")


def _daemon_limit(host: Host) -> int | None:
    if host.runtime is None or not host.runtime.pid:
        return None
    line = host.read(f"/proc/{host.runtime.pid}/limits").partition("Max open files")[2].split()
    return int(line[0]) if line and line[0].isdigit() else None


def process_ids(host: Host) -> Findings:
    """How many processes the node can have."""
    value = host.sysctl("kernel.pid_max")
    if value is not None and value < _PIDS:
        why = "Threads of all pods together count; at the limit no process starts on the node, the daemon's included."
        yield warning(f"kernel.pid_max is {value}", why, command=set_sysctl("kernel.pid_max", 4194304))
    else:
        yield ok(f"{value} process ids")


def memory_maps(host: Host) -> Findings:
    """What databases and search engines ask for."""
    value = host.sysctl("vm.max_map_count")
    if value is not None and value < 262_144:
        why = "Elasticsearch, OpenSearch and some databases refuse to start below 262144; a pod cannot change it."
        yield info(f"vm.max_map_count is {value}", why, "If you run such:", set_sysctl("vm.max_map_count", 262144))
    else:
        yield ok(f"vm.max_map_count is {value}")


def forwarding(host: Host) -> Findings:
    """Packets between pods and the world pass through this host."""
    if host.sysctl("net.ipv4.ip_forward") == 0:
        why = "Pods on this node reach nothing beyond it. (Some CNI plugins turn it on with their first pod.)"
        yield warning("net.ipv4.ip_forward is 0", why, command=set_sysctl("net.ipv4.ip_forward", 1))
    else:
        yield ok("IPv4 is forwarded")
    six = any(":" in subnet for subnet in subnets(host.networks.plugins))
    if six and host.sysctl("net.ipv6.conf.all.forwarding") == 0:
        why = "The network has IPv6 addresses, with which pods reach nothing beyond this node."
        yield warning("net.ipv6.conf.all.forwarding is 0", why, command=set_sysctl("net.ipv6.conf.all.forwarding", 1))


def bridge_filter(host: Host) -> Findings:
    """kube-proxy sees traffic within a bridge only by br_netfilter."""
    why = "kube-proxy does not see packets between pods on one bridge: Services fail between pods of this node."
    value = host.sysctl("net.bridge.bridge-nf-call-iptables")
    if value is None:
        yield warning("br_netfilter is not there", why, command=load("br_netfilter"))
    elif value == 0:
        name = "net.bridge.bridge-nf-call-iptables"
        yield warning(f"{name} is 0", why, command=set_sysctl(name, 1))
    else:
        yield ok("bridged packets pass the firewall, as kube-proxy needs it")


def reverse_path(host: Host) -> Findings:
    """Strict source validation drops what comes back another way."""
    if host.sysctl("net.ipv4.conf.all.rp_filter") == 1:
        why = "Replies that come back on another interface are dropped: with several uplinks or an overlay network."
        command = set_sysctl("net.ipv4.conf.all.rp_filter", 2)
        yield info("net.ipv4.conf.all.rp_filter is 1 (strict)", why, "If pods lose packets:", command)
    else:
        yield ok("replies may come back another way (rp_filter)")


def connections(host: Host) -> Findings:
    """The table of connections: full, it drops new ones."""
    limit = host.sysctl("net.netfilter.nf_conntrack_max")
    if limit is None:  # nobody tracks them yet
        return
    used = host.sysctl("net.netfilter.nf_conntrack_count") or 0
    command = set_sysctl("net.netfilter.nf_conntrack_max", max(2 * limit, 2 * _CONNTRACK))
    if used > limit * _FULL:
        why = "When it is full, packets of new connections are dropped: time-outs here and there."
        yield error(f"{used} of {limit} tracked connections", why, command=command)
    elif limit < _CONNTRACK:
        why = "It is shared by all pods; when it is full, packets of new connections are dropped."
        yield info(f"room for {limit} tracked connections", why, "For a busy node:", command)
    else:
        yield ok(f"{used} of {limit} tracked connections")
