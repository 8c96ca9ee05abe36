"""Control groups: which version, which controllers, who makes them; swap and huge pages, which they limit."""

from __future__ import annotations

from cricket.cli.doctor.finding import Finding, Findings, error, info, ok, warning
from cricket.cli.doctor.host import Host
from cricket.cli.doctor.versions import number, older

ROOT = "/sys/fs/cgroup"
# What the kubelet and pods limit; on v1 cpuacct belongs to cpu.
_NEEDED, _WANTED = ("cpu", "cpuset", "memory"), ("pids", "hugetlb")
_CRUN_HYBRID = (1, 9)


def unified(host: Host) -> str:
    """Where the v2 hierarchy is, "" when there is none."""
    points = [m.point for m in host.mounts if m.fstype == "cgroup2" and m.point.startswith(ROOT)]
    return points[0] if points else ""


def legacy(host: Host) -> dict[str, str]:
    """The v1 hierarchies: mount point by controller."""
    found: dict[str, str] = {}
    for mount in host.mounts:
        if mount.fstype == "cgroup" and mount.point.startswith(ROOT):
            found |= {name: mount.point for name in mount.super_options if "=" not in name and name not in ("rw", "ro")}
    return found


def mode(host: Host) -> str:
    """ "v2", "hybrid", "v1", or "" when nothing is mounted."""
    if not legacy(host):
        return "v2" if unified(host) else ""
    return "hybrid" if unified(host) else "v1"


def version(host: Host) -> Findings:
    """Version 2 is what kubelets expect."""
    found = mode(host)
    if found == "v2":
        yield ok("cgroup v2")
    elif not found:
        todo = "Mount the unified hierarchy, at every boot."
        command = f"mount -t cgroup2 cgroup2 {ROOT}"
        yield error(
            f"no cgroups are mounted at {ROOT}", "Neither kubelet nor runtime can limit anything.", todo, command
        )
    else:
        name = "cgroup v1" if found == "v1" else "cgroup v1 with an empty v2 hierarchy beside it (hybrid)"
        why = (
            "It works, without memory QoS, pressure per container and clean OOM groups. Kubelets from 1.35 on refuse "
            "to start on it unless their configuration says `failCgroupV1: false`."
        )
        boot = "Boot with systemd.unified_cgroup_hierarchy=1 on the kernel's command line."
        yield warning(name, why, boot if host.systemd else f"Let the init mount cgroup2 at {ROOT} instead.")


def controllers(host: Host) -> Findings:
    """What can be limited."""
    found = set(legacy(host)) | set(host.read(f"{unified(host)}/cgroup.controllers").split())
    if not mode(host):
        return
    missing = [name for name in _NEEDED if name not in found]
    for name in missing:
        todo = "Boot with cgroup_enable=memory." if name == "memory" else "Boot a kernel that has it."
        yield error(f"no cgroup controller {name}", "The kubelet refuses to start without it.", todo)
    if "pids" not in found:
        why = "One container can take all process ids of the node: neither limits.pids nor the kubelet's limit holds."
        yield warning("no cgroup controller pids", why, "Boot a kernel with CONFIG_CGROUP_PIDS.")
    elif not missing:
        yield ok(f"controllers {', '.join(sorted(found & {*_NEEDED, *_WANTED, 'io', 'blkio', 'devices'}))}")


def split(host: Host) -> Findings:
    """crun does not work where controllers are in both versions."""
    left = host.read(f"{unified(host)}/cgroup.controllers").split() if mode(host) == "hybrid" else []
    if not left:
        yield ok("no controllers in both cgroup versions")
        return
    crun = number(host.outputs["crun"].text) if "crun" in host.outputs else None
    names = ", ".join(left)
    move = "; ".join(f"mkdir -p {ROOT}/{c} && mount -t cgroup -o {c} cgroup {ROOT}/{c}" for c in left)
    if crun is not None and older(crun, _CRUN_HYBRID):
        why = f"crun {'.'.join(map(str, crun))} makes no container on such a host; runc does."
        yield error(f"cgroup v1, but {names} in v2", why, "Mount it as v1, before the daemon starts:", move)
    else:
        yield info(f"cgroup v1, but {names} in v2", "Limits of these controllers are not set.", "", move)


def driver(host: Host) -> Findings:
    """Who makes cgroups: the one that rules the host should."""
    wanted = host.config.cgroup_driver
    in_use = host.runtime.cgroup_driver if host.runtime is not None else ""
    told = in_use or {"auto": "systemd" if host.systemd else "cgroupfs"}.get(wanted, wanted)
    if told == "systemd" and not host.systemd:
        why = "There is nobody who would make the scopes: every container fails."
        yield error("cgroup driver systemd, but systemd does not run", why, 'Set cgroup_driver = "auto".')
    elif told == "cgroupfs" and host.systemd:
        why = (
            "systemd and Cricket both believe that the cgroups are theirs; systemd may change limits it does not know."
        )
        yield warning(
            "cgroup driver cgroupfs, but systemd runs", why, 'Set cgroup_driver = "auto" (and the kubelet\'s).'
        )
    else:
        yield ok(f"cgroup driver {told}" + (" (told to the kubelet)" if in_use else ""))


def delegation(host: Host) -> Findings:
    """In a container or user session the cgroups may be somebody else's."""
    if mode(host) != "v2":
        return
    given = host.read(f"{ROOT}/cgroup.subtree_control").split()
    missing = [name for name in (*_NEEDED, "pids") if name not in given]
    # The real root has no cgroup.type, and there processes do not stand in the way.
    if missing and host.exists(f"{ROOT}/cgroup.type") and host.read(f"{ROOT}/cgroup.procs").strip():
        why = "Processes in the topmost cgroup keep controllers from being handed down: pods get no limits."
        todo = "Move them to a cgroup of their own before the daemon starts:"
        command = f"mkdir {ROOT}/init; for p in $(cat {ROOT}/cgroup.procs); do echo $p > {ROOT}/init/cgroup.procs; done"
        yield error(f"{', '.join(missing)} not delegated to this container", why, todo, command)
    else:
        yield ok("controllers can be handed down to pods")


def swap(host: Host) -> Findings:
    """The kubelet's rule about swap, and whether it is accounted."""
    lines = [line.split() for line in host.read("/proc/swaps").splitlines()[1:]]
    if not lines:
        yield ok("no swap")
        return
    names = ", ".join(line[0] for line in lines)
    v1 = legacy(host).get("memory", "")
    v2 = [name for name in host.list(ROOT) if host.exists(f"{ROOT}/{name}/memory.swap.max")]
    if (v1 and host.exists(f"{v1}/memory.memsw.limit_in_bytes")) or (not v1 and v2):
        why = "The kubelet refuses to start unless its configuration says `failSwapOn: false`."
        todo = "Say so, or turn swap off (and take it out of /etc/fstab)."
        yield info(f"swap is on ({names})", why, todo, "swapoff -a")
    else:
        why = "Swap is not accounted: a container over its memory limit swaps without end instead of being killed."
        yield warning(f"swap is on ({names})", why, "Boot with swapaccount=1, or turn it off.", "swapoff -a")


def huge_pages(host: Host) -> Findings:
    """Reserved pages that nobody could limit."""
    pages = "/sys/kernel/mm/hugepages"
    sizes = [name for name in host.list(pages) if host.number(f"{pages}/{name}/nr_hugepages")]
    limited = "hugetlb" in legacy(host) or "hugetlb" in host.read(f"{unified(host)}/cgroup.controllers").split()
    yield _huge_pages([name.removeprefix("hugepages-") for name in sizes], limited)


def _huge_pages(sizes: list[str], limited: bool) -> Finding:
    if not sizes:
        return ok("no huge pages are reserved")
    if limited:
        return ok(f"huge pages of {', '.join(sizes)}, with their controller")
    why = "Limits of pods for huge pages are not kept: there is no controller hugetlb."
    return warning(f"huge pages of {', '.join(sizes)} are reserved", why, "Boot a kernel with CONFIG_CGROUP_HUGETLB.")
