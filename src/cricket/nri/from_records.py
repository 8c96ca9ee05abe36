"""Records of sandboxes and containers as NRI messages (plain), and NRI's resources as ours."""

from __future__ import annotations

from cricket.nri.from_spec import container_fields
from cricket.nri.plain import Plain
from cricket.types.container import Container, ContainerState
from cricket.types.resources import Hugepage, Resources
from cricket.types.sandbox import Sandbox

_STATES = {
    ContainerState.CREATING: "CONTAINER_CREATED",
    ContainerState.CREATED: "CONTAINER_CREATED",
    ContainerState.STARTING: "CONTAINER_CREATED",
    ContainerState.RUNNING: "CONTAINER_RUNNING",
    ContainerState.EXITED: "CONTAINER_STOPPED",
    ContainerState.REMOVING: "CONTAINER_STOPPED",
}
_PROFILES = ("RUNTIME_DEFAULT", "UNCONFINED", "LOCALHOST")


def sandbox_message(sandbox: Sandbox, pid: int = 0) -> Plain:
    """NRI's `PodSandbox`. `pid` is 0 for a sandbox without a process of its own."""
    config = sandbox.config
    linux: Plain = {"cgroup_parent": config.cgroup_parent}
    if sandbox.netns:
        linux["namespaces"] = [{"type": "network", "path": sandbox.netns}]
    if overhead := sandbox.overhead or config.overhead:
        linux["pod_overhead"] = resources_message(overhead)
    if resources := sandbox.resources or config.resources:
        linux["pod_resources"] = resources_message(resources)
    return {
        "id": sandbox.id,
        "name": config.metadata.name,
        "uid": config.metadata.uid,
        "namespace": config.metadata.namespace,
        "labels": dict(config.labels),
        "annotations": dict(config.annotations),
        "runtime_handler": sandbox.handler,
        "linux": linux,
        "pid": pid or sandbox.init_pid,
        "ips": list(sandbox.ips),
    }


def container_message(container: Container, spec: Plain | None = None) -> Plain:
    """NRI's `Container`. Without its spec only what the CRI request says is in it."""
    config = container.config
    message = container_fields(spec) if spec is not None else _requested(container)
    message["annotations"] = message["annotations"] | config.annotations
    message |= {
        "id": container.id,
        "pod_sandbox_id": container.sandbox_id,
        "name": config.metadata.name,
        "state": _STATES[container.state],
        "labels": dict(config.labels),
        "pid": container.pid,
        "created_at": container.created_at,
        "started_at": container.started_at,
        "finished_at": container.finished_at,
        "exit_code": container.exit_code,
        "status_reason": container.reason,
        "status_message": container.message,
        "CDI_devices": [{"name": name} for name in config.cdi_devices],
        "image": {
            "name": config.user_image or config.image,
            "digest": container.image_ref.partition("@")[2],
            "config_digest": container.image_id,
        },
    }
    if seccomp := config.security.seccomp:
        profile: Plain = {"profile_type": _PROFILES[seccomp.type], "localhost_ref": seccomp.localhost_ref}
        message["linux"]["seccomp_profile"] = profile
    return message


def _requested(container: Container) -> Plain:
    config = container.config
    return {
        "annotations": {},
        "args": [*config.command, *config.args],
        "env": [f"{key}={value}" for key, value in config.env],
        "linux": {"resources": resources_message(container.resources)},
    }


def resources_message(resources: Resources) -> Plain:
    """NRI's `LinuxResources`; as with the peers, shares, quota, period and memory limit are there even when 0."""
    message: Plain = {
        "cpu": {
            "shares": max(resources.cpu_shares, 0),
            "quota": resources.cpu_quota,
            "period": max(resources.cpu_period, 0),
            "cpus": resources.cpuset_cpus,
            "mems": resources.cpuset_mems,
        },
        "memory": {"limit": resources.memory_limit},
        "hugepage_limits": [{"page_size": h.page_size, "limit": max(h.limit, 0)} for h in resources.hugepages],
        "unified": dict(resources.unified),
    }
    if resources.memory_swap_limit:
        message["memory"]["swap"] = resources.memory_swap_limit
    return message


def overlay(resources: Resources, change: Plain) -> tuple[Resources, list[str]]:
    """`resources` with the values of an NRI `LinuxResources`, and the names of values that CRI has no word for.

    A limit of memory and swap that does not allow the new memory limit is raised to it.
    """
    cpu, memory = change.get("cpu", {}), change.get("memory", {})
    limit, swap = memory.get("limit", resources.memory_limit), memory.get("swap", resources.memory_swap_limit)
    if "limit" in memory and "swap" not in memory and (0 < swap < limit or 0 < swap == resources.memory_limit):
        swap = limit
    pages = {h.page_size: h for h in resources.hugepages}
    for page in change.get("hugepage_limits", ()):
        pages[page.get("page_size", "")] = Hugepage(page.get("page_size", ""), page.get("limit", 0))
    result = Resources(
        cpu_period=cpu.get("period", resources.cpu_period),
        cpu_quota=cpu.get("quota", resources.cpu_quota),
        cpu_shares=cpu.get("shares", resources.cpu_shares),
        memory_limit=limit,
        memory_swap_limit=swap,
        oom_score_adj=resources.oom_score_adj,
        cpuset_cpus=cpu.get("cpus", resources.cpuset_cpus),
        cpuset_mems=cpu.get("mems", resources.cpuset_mems),
        hugepages=tuple(pages.values()),
        unified={**resources.unified, **change.get("unified", {})},
    )
    ignored = [f"memory.{name}" for name in memory if name not in ("limit", "swap")]
    ignored += [f"cpu.{name}" for name in cpu if name.startswith("realtime")]
    ignored += [name for name in ("pids", "blockio_class", "rdt_class", "devices") if change.get(name)]
    return result, ignored
