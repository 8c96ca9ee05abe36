"""What the agent knows of its node and of the runtime; made once, by the agent, and passed to everything."""

from __future__ import annotations

import msgspec


class Node(msgspec.Struct, frozen=True):
    """Facts and settings. Paths are absolute, without a slash at the end; amounts are bytes and thousandths of a CPU.

    `root` holds all that the agent writes; `log_root` the containers' logs. `cgroup_root` is the cgroup below which the
    QoS classes are made; `systemd` is the driver that CRI's RuntimeConfig names. `rro_handlers` and `userns_handlers`
    are the runtime handlers that CRI's Status says can do recursive read-only mounts and user namespaces ("" is the
    default one). `groups_policy`: whether it knows supplementalGroupsPolicy.
    """

    name: str
    root: str = "/var/lib/cricket-kubelet"
    log_root: str = "/var/log/pods"
    host_ips: tuple[str, ...] = ()
    cpu_millis: int = 1000
    memory_bytes: int = 1 << 30
    systemd: bool = False
    cgroup_root: str = "/cricketpods"
    unified_cgroups: bool = False
    swap: bool = False
    hugepage_sizes: tuple[str, ...] = ()
    rro_handlers: frozenset[str] = frozenset()
    userns_handlers: frozenset[str] = frozenset()
    groups_policy: bool = False
    cluster_dns: tuple[str, ...] = ()
    cluster_domain: str = ""
    resolv_conf: str = "/etc/resolv.conf"
    hosts_file: str = "/etc/hosts"
    seccomp_root: str = "/var/lib/kubelet/seccomp"
    """Localhost profiles lie below it."""
    seccomp_default: bool = False
    """RuntimeDefault instead of Unconfined for who says nothing."""
    handlers: dict[str, str] = {}
    """Runtime handlers by runtimeClassName; a class that is not here is its own handler."""

    def handler(self, runtime_class: str) -> str:
        """The runtime handler of a runtimeClassName; "" is the default one."""
        return self.handlers.get(runtime_class, runtime_class)
