"""The sysctls that pods with their own network get unless they ask for others, and which may be set late."""

from __future__ import annotations

from collections.abc import Iterable

from cricket.config.model import Security

# Read when a socket is made or used, and by nothing that CNI plugins do. Not `conf`, `neigh`, `ip_forward`: those
# change interfaces that are there, or count only for those that come.
_LATE = ("net.ipv4.tcp_", "net.ipv4.ip_local_", "net.ipv4.ip_unprivileged_port_start", "net.ipv4.ping_group_range")
_LATE_EXACTLY = ("net.core.somaxconn",)


def default_sysctls(security: Security, *, all_groups: bool) -> dict[str, str]:
    """Those of the configuration; `all_groups` says that every group id is mapped, as outside of user namespaces."""
    result: dict[str, str] = {}
    if security.unprivileged_ports:
        result["net.ipv4.ip_unprivileged_port_start"] = "0"
    # The largest group id must be mapped, which it is not in a pod's user namespace.
    if security.unprivileged_icmp and all_groups:
        result["net.ipv4.ping_group_range"] = "0 2147483647"
    return result


def of_network(keys: Iterable[str]) -> list[str]:
    """Those of `keys` that belong to the network namespace, with dots."""
    return [k for k in (key.replace("/", ".") for key in keys) if k.startswith("net.")]


def may_be_late(keys: Iterable[str]) -> bool:
    """Whether it makes no difference that these are set after the network was set up."""
    return all(key.startswith(_LATE) or key in _LATE_EXACTLY for key in of_network(keys))
