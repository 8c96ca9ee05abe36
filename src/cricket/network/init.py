"""`cricket network init`: a good default configuration for a node that has none."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence

import msgspec

from cricket.errors import AlreadyExists, CricketError, FailedPrecondition, InvalidArgument, map_errors
from cricket.kernel import process
from cricket.kernel.files import make_dir, sync_dir
from cricket.kernel.netlink import Netlink
from cricket.network import names
from cricket.network.conf import EXTENSIONS

FILE = "10-cricket.conflist"
BRIDGE = "cni0"
_UNICAST, _LOCAL = 1, 2


def default_conflist(
    subnets: Sequence[str], *, bridge: str = BRIDGE, firewall: bool = False, bandwidth: bool = False
) -> bytes:
    """The text of the file: pods on a bridge, masqueraded, with hostports.

    `firewall` lets their traffic through a FORWARD chain that drops; `bandwidth` obeys the pods' bandwidth
    annotations. Each costs some milliseconds per pod.

    One IPv4 subnet, one IPv6 subnet, or both (the first gives the primary address). The version is the newest that
    Debian 12's plugins speak. Raises InvalidArgument for subnets that cannot be used.
    """
    names.check_interface(bridge)
    _check_subnets(subnets)
    ranges = [[{"subnet": s}] for s in subnets]
    routes = [{"dst": "::/0" if ":" in s else "0.0.0.0/0"} for s in subnets]
    plugins: list[dict[str, object]] = [
        {
            "type": "bridge",
            "bridge": bridge,
            "isGateway": True,
            "ipMasq": True,
            "hairpinMode": True,
            "ipam": {"type": "host-local", "ranges": ranges, "routes": routes},
        },
        {"type": "portmap", "capabilities": {"portMappings": True}},
    ]
    if firewall:
        plugins.append({"type": "firewall"})
    if bandwidth:
        plugins.append({"type": "bandwidth", "capabilities": {"bandwidth": True}})
    conf = {"cniVersion": "1.0.0", "name": "cricket", "plugins": plugins}
    return msgspec.json.format(msgspec.json.encode(conf), indent=2) + b"\n"


def write_default(
    conf_dir: str,
    subnets: Sequence[str] = (),
    *,
    dual_stack: bool = False,
    bridge: str = BRIDGE,
    firewall: bool = False,
    bandwidth: bool = False,
) -> str:
    """Write the default configuration; returns its path. Blocks.

    Without `subnets` it takes one (with `dual_stack` also one for IPv6) that collides with no route of this host.
    Raises AlreadyExists when the directory holds any configuration: two files would mean that one is not used.
    """
    present = sorted(e for e in _entries(conf_dir) if os.path.splitext(e)[1] in EXTENSIONS)
    if present:
        where, todo = os.path.join(conf_dir, present[0]), "Remove it first if you want another"
        raise AlreadyExists("this node has a network configuration already", where=where, todo=todo)
    if not subnets:
        used = host_subnets()
        subnets = (free_subnet(used), free_subnet(used, six=True)) if dual_stack else (free_subnet(used),)
    data = default_conflist(subnets, bridge=bridge, firewall=firewall, bandwidth=bandwidth)
    path = os.path.join(conf_dir, FILE)
    make_dir(conf_dir)
    with map_errors(OSError, FailedPrecondition, "cannot write the network configuration", where=path):
        # Linked into place whole: nobody sees half a file, and one that appeared meanwhile is not overwritten.
        temp = f"{path}.tmp{os.getpid()}"
        try:
            with open(temp, "wb") as f:
                f.write(data)
                f.flush()
                os.fsync(f.fileno())
            os.link(temp, path)
        finally:
            os.unlink(temp)
        sync_dir(conf_dir)
    return path


def host_subnets() -> tuple[str, ...]:
    """The subnets that this host has routes to (default routes aside), of all tables."""
    with Netlink() as netlink:
        routes = netlink.routes()
    return tuple(f"{r.destination}/{r.prefix}" for r in routes if r.prefix and r.type in (_UNICAST, _LOCAL))


def free_subnet(used: Iterable[str], *, six: bool = False) -> str:
    """A private subnet that overlaps none of `used`: 10.85.0.0/16 and up, or a random ULA /64 (RFC 4193).

    Raises FailedPrecondition when all are taken.
    """
    import ipaddress

    taken = [ipaddress.ip_network(u, strict=False) for u in used]
    if six:
        ula = b"\xfd" + os.urandom(5) + bytes(10)
        candidates = [f"{ipaddress.IPv6Address(ula)}/64"]
    else:
        second = [*range(85, 256), *range(0, 85)]
        candidates = [f"10.{n}.0.0/16" for n in second] + [f"172.{n}.0.0/16" for n in range(16, 32)]
    for text in candidates:
        candidate = ipaddress.ip_network(text)
        if not any(candidate.version == t.version and candidate.overlaps(t) for t in taken):
            return text
    raise FailedPrecondition("every private subnet has a route already", todo="Choose one with --subnet")


async def forwarding_is_dropped() -> bool:
    """Whether the host's FORWARD chain drops by default (as Docker sets it): then pods need the firewall plugin."""
    try:
        result = await process.run(["iptables", "-w", "5", "-S", "FORWARD"], timeout=10)
    except CricketError:
        return False  # no iptables: nobody can have set it that way
    return b"-P FORWARD DROP" in result.stdout


def _entries(directory: str) -> list[str]:
    with map_errors(OSError, FailedPrecondition, "cannot read the directory", where=directory):
        try:
            return os.listdir(directory)
        except FileNotFoundError:
            return []


def _check_subnets(subnets: Sequence[str]) -> None:
    import ipaddress

    families = []
    for text in subnets:
        try:
            network = ipaddress.ip_network(text)
        except ValueError as e:
            raise InvalidArgument(f"{text[:80]!r} is no subnet", todo='Write it like "10.85.0.0/16"') from e
        if network.num_addresses < 8:
            raise InvalidArgument(f"the subnet {text} is too small")
        families.append(network.version)
    if len(families) not in (1, 2) or len(set(families)) != len(families):
        raise InvalidArgument("one subnet, or one for each of IPv4 and IPv6, is needed")
