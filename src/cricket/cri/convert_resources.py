"""`LinuxContainerResources`, `Device`, and the types of the same meaning."""

from __future__ import annotations

from cricket._proto.cri import api_pb2 as pb
from cricket.cri.fields import not_negative, required, text
from cricket.errors import InvalidArgument
from cricket.types.resources import Device, Hugepage, Resources


def resources_from(message: pb.LinuxContainerResources, field: str) -> Resources:
    """Limits of a request; `field` is where they stand in it."""
    for name in ("cpu_period", "cpu_shares"):
        not_negative(getattr(message, name), f"{field}.{name}")
    return Resources(
        cpu_period=message.cpu_period,
        cpu_quota=message.cpu_quota,
        cpu_shares=message.cpu_shares,
        memory_limit=message.memory_limit_in_bytes,
        memory_swap_limit=message.memory_swap_limit_in_bytes,
        oom_score_adj=message.oom_score_adj,
        cpuset_cpus=message.cpuset_cpus,
        cpuset_mems=message.cpuset_mems,
        hugepages=tuple(
            Hugepage(required(h.page_size, f"{field}.hugepage_limits.page_size"), h.limit)
            for h in message.hugepage_limits
        ),
        unified=dict(message.unified),
    )


def resources_to(resources: Resources) -> pb.LinuxContainerResources:
    """The reverse of `resources_from`."""
    return pb.LinuxContainerResources(
        cpu_period=resources.cpu_period,
        cpu_quota=resources.cpu_quota,
        cpu_shares=resources.cpu_shares,
        memory_limit_in_bytes=resources.memory_limit,
        memory_swap_limit_in_bytes=resources.memory_swap_limit,
        oom_score_adj=resources.oom_score_adj,
        cpuset_cpus=resources.cpuset_cpus,
        cpuset_mems=resources.cpuset_mems,
        hugepage_limits=[pb.HugepageLimit(page_size=h.page_size, limit=h.limit) for h in resources.hugepages],
        unified=resources.unified,
    )


def device_from(message: pb.Device, field: str) -> Device:
    """A host device; without a container path it keeps the host's, without permissions it gets all."""
    host = required(message.host_path, f"{field}.host_path")
    permissions = message.permissions or "rwm"
    if set(permissions) - set("rwm"):
        raise InvalidArgument(f"permissions are some of r, w and m, not {permissions!r}", where=f"{field}.permissions")
    return Device(text(message.container_path, f"{field}.container_path") or host, host, permissions)


def device_to(device: Device) -> pb.Device:
    """The reverse of `device_from`."""
    return pb.Device(container_path=device.container_path, host_path=device.host_path, permissions=device.permissions)
