"""The kernel: its version, and the features that containers are made of."""

from __future__ import annotations

from cricket.cli.doctor.finding import Findings, error, info, ok, warning
from cricket.cli.doctor.host import Host
from cricket.cli.doctor.remedies import load, set_sysctl

# Since which version, and what is lost before.
_LOST = (
    ((5, 12), "id-mapped volumes and recursive read-only mounts"),
    ((5, 14), "killing a whole cgroup at once (processes are then signalled one by one)"),
    ((5, 19), "pods with user namespaces on shared image layers"),
    ((6, 3), "memory-backed volumes in pods with user namespaces"),
)
_OLDEST = (5, 6)
_NAMESPACES = {"mnt": "mount", "pid": "PID", "net": "network", "ipc": "IPC", "uts": "UTS", "cgroup": "cgroup"}
_FEW_NAMESPACES = 1024
# Bits of capabilities(7) without which the daemon cannot do its work.
_NEEDED = {
    1: "CAP_DAC_OVERRIDE",
    5: "CAP_KILL",
    6: "CAP_SETGID",
    7: "CAP_SETUID",
    12: "CAP_NET_ADMIN",
    18: "CAP_SYS_CHROOT",
    21: "CAP_SYS_ADMIN",
}
_SYS_RESOURCE = 24


def version(host: Host) -> Findings:
    """Old kernels lack syscalls."""
    major, minor = host.kernel
    name = f"Linux {major}.{minor}"
    if host.kernel < _OLDEST:
        why = "Cricket needs pidfds (5.3) and openat2 (5.6)."
        yield error(f"{name} is too old", why, "Boot a kernel of 5.15 or newer.")
        return
    lost = [what for since, what in _LOST if host.kernel < since]
    if lost:
        yield info(f"{name} lacks {', '.join(lost)}", todo="A newer kernel brings them.")
    else:
        yield ok(f"{name} has everything Cricket can use")


def modules(host: Host) -> Findings:
    """Without modules what is not built in stays away."""
    release = host.release
    if host.exists(f"/lib/modules/{release}"):
        yield ok("kernel modules can be loaded")
        return
    why = f"There is no /lib/modules/{release}: what is not built into the kernel cannot be had without another boot."
    if any(name != release for name in host.list("/lib/modules")):
        todo = "After an update of the kernel this ends with a reboot."
        yield warning("modules of another kernel are installed than the one that runs", why, todo)
    else:
        yield info("this kernel has no modules", why)


def namespaces(host: Host) -> Findings:
    """Every kind of namespace, and as many as pods need."""
    there = host.list("/proc/self/ns")
    missing = [name for kind, name in _NAMESPACES.items() if kind not in there]
    if missing:
        todo = "Boot a kernel with CONFIG_NAMESPACES and its parts."
        yield error(f"no {' and no '.join(missing)} namespaces", "No container starts without them.", todo)
    few = {}
    for kind in (*_NAMESPACES, "user"):
        limit = host.sysctl(f"user.max_{kind}_namespaces")
        if limit is not None and limit < _FEW_NAMESPACES and not (kind == "user" and limit == 0):
            few[f"user.max_{kind}_namespaces"] = limit
    for name, limit in few.items():
        why = "Every pod takes one or more; the pod after the last one fails with ENOSPC."
        yield warning(f"only {limit} {name}", why, command=set_sysctl(name, 65536))
    if not missing and not few:
        extra = "time namespaces too" if "time" in there else "no time namespaces, which CRI does not use"
        yield ok(f"all namespaces that containers are made of ({extra})")


def user_namespaces(host: Host) -> Findings:
    """For pods with `hostUsers: false`."""
    lost = "Pods with `hostUsers: false` are refused."
    if "user" not in host.list("/proc/self/ns"):
        yield warning("no user namespaces", lost, "Boot a kernel with CONFIG_USER_NS.")
    elif host.sysctl("user.max_user_namespaces") == 0:
        todo = "Allow them; only root makes those of pods, so unprivileged ones may stay forbidden."
        yield warning("user namespaces are turned off", lost, todo, set_sysctl("user.max_user_namespaces", 65536))
    elif host.read("/proc/self/uid_map").split() != ["0", "0", str(0xFFFFFFFF)]:
        why = "Some of what the daemon does needs the host's own user namespace: devices, limits, some sysctls."
        yield warning("this is itself a user namespace", why, "Run Cricket outside of it.")
    else:
        yield ok("user namespaces")


def overlayfs(host: Host) -> Findings:
    """What root file systems are made of."""
    if "\toverlay\n" in host.read("/proc/filesystems"):
        way = "layers are given one by one" if host.kernel >= (6, 5) else "by the old mount(2) options"
        yield ok(f"overlayfs ({way})")
        return
    why = "Every container's root file system is an overlay of its image's layers."
    if host.exists(f"/lib/modules/{host.release}"):
        yield warning("overlayfs is not loaded yet", why, "Load it, now and at every boot:", load("overlay"))
    else:
        yield error("no overlayfs", why, "Boot a kernel with CONFIG_OVERLAY_FS.")


def seccomp(host: Host) -> Findings:
    """Filters of system calls."""
    if "\nSeccomp:" not in host.read("/proc/self/status"):
        why = "Containers run without the RuntimeDefault profile, and those with a profile of their own are refused."
        yield warning("no seccomp", why, "Boot a kernel with CONFIG_SECCOMP_FILTER.")
        return
    actions = host.read("/proc/sys/kernel/seccomp/actions_avail").split()
    if actions and "errno" not in actions:
        yield warning("seccomp without filters", "Profiles cannot be applied.", "Boot with CONFIG_SECCOMP_FILTER.")
    else:
        yield ok("seccomp" + (" with notification" if "user_notif" in actions else ""))


def pressure(host: Host) -> Findings:
    """Pressure stall information."""
    if host.exists("/proc/pressure/memory"):
        yield ok("pressure stall information")
        return
    why = "The kubelet's pressure metrics (KubeletPSI) stay empty."
    yield info("no pressure stall information", why, "Boot with psi=1, when the kernel has CONFIG_PSI.")


def capabilities(host: Host) -> Findings:
    """What the kernel lets root do here: virtual machines and containers may be given less."""
    pid = host.runtime.pid if host.runtime is not None else 0
    text = host.read(f"/proc/{pid or 'self'}/status").partition("CapBnd:")[2].split()
    mask = int(text[0], 16) if text else 0
    who = "the daemon" if pid else "root"
    missing = [name for bit, name in _NEEDED.items() if not mask >> bit & 1]
    if missing:
        todo = "Give them where this machine, or the daemon's unit, is set up."
        yield error(f"{who} has no {', '.join(missing)} here", "Sandboxes cannot be made without.", todo)
    if not mask >> _SYS_RESOURCE & 1:
        why = (
            "The oom_score_adj of system pods and of Guaranteed pods cannot be lowered, so the kernel may kill them "
            "first, and limits above the hard ones are refused. Cricket writes what the kernel allows."
        )
        yield warning(f"{who} has no CAP_SYS_RESOURCE here", why, "Give it where this machine, or the unit, is set up.")
    elif not missing:
        yield ok(f"{who} has the capabilities that containers need")
