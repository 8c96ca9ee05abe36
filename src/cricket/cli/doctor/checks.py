"""Every check with its name, its group and what it looks at; and how they are run."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from cricket.cli.doctor import (
    cgroups,
    configuration,
    daemon,
    disks,
    firewall,
    handlers,
    kernel,
    kubelet,
    leftovers,
    leftovers_network,
    limits,
    network,
    others,
    programs,
    security,
)
from cricket.cli.doctor.finding import Finding, Findings, Severity, Unseen
from cricket.cli.doctor.host import Host
from cricket.cli.errors import UsageError, one_line
from cricket.errors import CricketError


class Check(NamedTuple):
    """A check: `look` yields what it finds; nothing where there is nothing to look at."""

    name: str
    group: str
    look: Callable[[Host], Findings]

    @property
    def about(self) -> str:
        """The first line of what the check says of itself."""
        return (self.look.__doc__ or "").strip().split("\n")[0]


_GROUPS: dict[str, dict[str, Callable[[Host], Findings]]] = {
    "daemon": {"daemon": daemon.answers, "ready": daemon.ready, "socket-access": security.access},
    "configuration": {
        "config-files": configuration.files,
        "config-in-force": configuration.in_force,
        "credentials": security.credentials,
    },
    "kernel": {
        "kernel-version": kernel.version,
        "modules": kernel.modules,
        "namespaces": kernel.namespaces,
        "user-namespaces": kernel.user_namespaces,
        "overlayfs": kernel.overlayfs,
        "seccomp": kernel.seccomp,
        "pressure": kernel.pressure,
        "capabilities": kernel.capabilities,
    },
    "cgroups": {
        "cgroup-version": cgroups.version,
        "cgroup-controllers": cgroups.controllers,
        "cgroup-split": cgroups.split,
        "cgroup-driver": cgroups.driver,
        "cgroup-delegation": cgroups.delegation,
        "swap": cgroups.swap,
        "huge-pages": cgroups.huge_pages,
    },
    "programs": {
        "crun": programs.crun,
        "runc": programs.runc,
        "conmon": programs.conmon,
        "catatonit": programs.init,
        "util-linux": programs.util_linux,
        "criu": programs.criu,
    },
    "handlers": {"handlers": handlers.work, "handler-features": handlers.features},
    "security": {"apparmor": security.apparmor, "selinux": security.selinux},
    "limits": {
        "inotify": limits.inotify,
        "open-files": limits.open_files,
        "process-ids": limits.process_ids,
        "memory-maps": limits.memory_maps,
    },
    "disk": {
        "disk-space": disks.space,
        "inodes": disks.inodes,
        "file-system": disks.file_system,
        "d-type": disks.d_type,
        "propagation": disks.propagation,
        "volume-mounts": disks.volumes,
    },
    "network": {
        "network-config": network.configuration,
        "network-plugins": network.plugins,
        "subnet": network.subnet,
        "addresses": network.addresses,
        "ip-forward": limits.forwarding,
        "bridge-filter": limits.bridge_filter,
        "rp-filter": limits.reverse_path,
        "connections": limits.connections,
        "iptables": firewall.iptables,
        "forward-policy": firewall.forward,
        "name-servers": network.name_servers,
    },
    "neighbours": {"other-runtimes": others.runtimes},
    "kubelet": {
        "kubelet-endpoint": kubelet.endpoint,
        "kubelet-cgroup-driver": kubelet.cgroup_driver,
        "kubelet-cgroup-version": kubelet.old_cgroups,
        "kubelet-swap": kubelet.swap,
    },
    "leftovers": {
        "orphaned-pods": leftovers.daemon,
        "state-left": leftovers.directories,
        "mounts-left": leftovers.mounts,
        "cgroups-left": leftovers.groups,
        "monitors-left": leftovers.monitors,
        "addresses-left": leftovers_network.addresses,
        "interfaces-left": leftovers_network.interfaces,
    },
}
CHECKS = tuple(Check(name, group, look) for group, checks in _GROUPS.items() for name, look in checks.items())


def choose(names: Sequence[str]) -> list[Check]:
    """The checks with these names, or of these groups; without names all. Raises UsageError."""
    known = {*_GROUPS, *(check.name for check in CHECKS)}
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            todo = f"did you mean {near[0]}?" if near else "see `cricket doctor --list`"
            raise UsageError(f"there is no check {name!r}", todo=todo)
    return [check for check in CHECKS if not names or check.name in names or check.group in names]


def examine(host: Host, checks: Iterable[Check]) -> list[Finding]:
    """Run checks in order. A check that cannot look gives a finding that says so; none stops the others."""
    found: list[Finding] = []
    for check in checks:
        found += [finding._replace(check=check.name, group=check.group) for finding in _look(host, check)]
    return found


def _look(host: Host, check: Check) -> list[Finding]:
    try:
        return list(check.look(host))
    except Unseen as error:
        what = f"not looked at: {error.what}" + (f" ({error.where})" if error.where else "")
        return [Finding(Severity.INFO, what, todo="Run it as root.", unseen=True)]
    except CricketError as error:
        return [Finding(Severity.WARNING, f"the check failed: {one_line(error)}")]
    except OSError as error:
        # The host changes while it is looked at.
        return [Finding(Severity.INFO, f"not looked at: {error}", unseen=True)]
