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
    """A check: the question that it answers, and what answers it; nothing where there is nothing to look at."""

    name: str
    group: str
    question: str
    look: Callable[[Host], Findings]


CHECKS = (
    Check("daemon", "daemon", "Does the daemon answer?", daemon.answers),
    Check("ready", "daemon", "Are runtime and network ready?", daemon.ready),
    Check("socket-access", "daemon", "Who may open the socket, and so become root?", security.access),
    Check("config-files", "configuration", "Is the configuration valid?", configuration.files),
    Check("config-in-force", "configuration", "Does the daemon run with what the files say?", configuration.in_force),
    Check("credentials", "configuration", "Are passwords of registries closed to others?", security.credentials),
    Check("kernel-version", "kernel", "Is the kernel new enough, and what does it lack?", kernel.version),
    Check("modules", "kernel", "Can kernel modules be loaded?", kernel.modules),
    Check("namespaces", "kernel", "Are there namespaces of all kinds, and enough of them?", kernel.namespaces),
    Check("user-namespaces", "kernel", "Can pods have user namespaces?", kernel.user_namespaces),
    Check("overlayfs", "kernel", "Is overlayfs there, of which root file systems are made?", kernel.overlayfs),
    Check("seccomp", "kernel", "Can system calls be filtered?", kernel.seccomp),
    Check("pressure", "kernel", "Is there pressure stall information?", kernel.pressure),
    Check("capabilities", "kernel", "May root, or the daemon, do what containers need?", kernel.capabilities),
    Check("cgroup-version", "cgroups", "Is it cgroup v2, as kubelets expect?", cgroups.version),
    Check("cgroup-controllers", "cgroups", "Can CPU, memory and processes be limited?", cgroups.controllers),
    Check("cgroup-split", "cgroups", "Are controllers in both versions, where crun does not work?", cgroups.split),
    Check("cgroup-driver", "cgroups", "Does the one make cgroups who rules the host?", cgroups.driver),
    Check("cgroup-delegation", "cgroups", "Can controllers be handed down to pods?", cgroups.delegation),
    Check("swap", "cgroups", "Is there swap, and is it accounted?", cgroups.swap),
    Check("huge-pages", "cgroups", "Can reserved huge pages be limited?", cgroups.huge_pages),
    Check("crun", "programs", "Is crun there, not too old, with CRIU?", programs.crun),
    Check("runc", "programs", "Is runc there, without known holes?", programs.runc),
    Check("conmon", "programs", "Is conmon there, which holds streams, logs and exit codes?", programs.conmon),
    Check("catatonit", "programs", "Is catatonit there, the init of pods that share processes?", programs.init),
    Check("util-linux", "programs", "Are unshare and nsenter there, for user namespaces?", programs.util_linux),
    Check("criu", "programs", "Does CRIU work on this kernel, for checkpoints?", programs.criu),
    Check("handlers", "handlers", "Does each runtime make a container here?", handlers.work),
    Check("handler-features", "handlers", "What can the runtimes not do here?", handlers.features),
    Check("apparmor", "security", "If AppArmor is active, can profiles be loaded?", security.apparmor),
    Check("selinux", "security", "If SELinux is active, are containers labelled?", security.selinux),
    Check("inotify", "limits", "Can enough files be watched?", limits.inotify),
    Check("open-files", "limits", "Can enough files be opened?", limits.open_files),
    Check("process-ids", "limits", "Can enough processes run?", limits.process_ids),
    Check("memory-maps", "limits", "Are there as many memory maps as databases want?", limits.memory_maps),
    Check("disk-space", "disk", "Is there room for images and containers?", disks.space),
    Check("inodes", "disk", "Are there inodes for their files?", disks.inodes),
    Check("file-system", "disk", "Can overlays lie on the file system?", disks.file_system),
    Check("d-type", "disk", "If it is xfs, was it made for overlays?", disks.d_type),
    Check("propagation", "disk", "Are mounts shared with pods that ask for it?", disks.propagation),
    Check("volume-mounts", "disk", "Can programs in volumes be run?", disks.volumes),
    Check("network-config", "network", "Is there a network, and the one that was meant?", network.configuration),
    Check("network-plugins", "network", "Are its plugins installed?", network.plugins),
    Check("subnet", "network", "Are the pods' addresses somebody else's?", network.subnet),
    Check("addresses", "network", "Are addresses left?", network.addresses),
    Check("ip-forward", "network", "Are packets forwarded?", limits.forwarding),
    Check("bridge-filter", "network", "Does kube-proxy see packets on a bridge?", limits.bridge_filter),
    Check("rp-filter", "network", "May replies come back another way?", limits.reverse_path),
    Check("connections", "network", "Is there room for tracked connections?", limits.connections),
    Check("iptables", "network", "Does the kernel take rules for masquerading?", firewall.iptables),
    Check("forward-policy", "network", "Does the firewall let pods' packets through?", firewall.forward),
    Check("name-servers", "network", "Can pods reach the host's name servers?", network.name_servers),
    Check("other-runtimes", "neighbours", "Which other runtimes listen?", others.runtimes),
    Check("kubelet-endpoint", "kubelet", "Which runtime does the kubelet ask?", kubelet.endpoint),
    Check(
        "kubelet-cgroup-driver", "kubelet", "Do kubelet and runtime agree on the cgroup driver?", kubelet.cgroup_driver
    ),
    Check("kubelet-cgroup-version", "kubelet", "Does the kubelet accept this host's cgroups?", kubelet.old_cgroups),
    Check("kubelet-swap", "kubelet", "Does the kubelet accept this host's swap?", kubelet.swap),
    Check("orphaned-pods", "leftovers", "Are there pods that nobody looks after?", leftovers.daemon),
    Check("state-left", "leftovers", "Are there directories of pods without a record?", leftovers.directories),
    Check("mounts-left", "leftovers", "Are there mounts of daemons that are gone?", leftovers.mounts),
    Check("cgroups-left", "leftovers", "Are there cgroups of containers that are gone?", leftovers.groups),
    Check("monitors-left", "leftovers", "Are there monitors of containers without a record?", leftovers.monitors),
    Check("addresses-left", "leftovers", "Are addresses reserved for no pod?", leftovers_network.addresses),
    Check(
        "interfaces-left",
        "leftovers",
        "Are interfaces on the bridge that belong to no pod?",
        leftovers_network.interfaces,
    ),
)
GROUPS = tuple(dict.fromkeys(check.group for check in CHECKS))


def choose(names: Sequence[str]) -> list[Check]:
    """The checks with these names, or of these groups; without names all. Raises UsageError."""
    known = {*GROUPS, *(check.name for check in CHECKS)}
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
