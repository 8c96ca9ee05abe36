"""Resources in CRI's units (kubelet pkg/kubelet/kuberuntime/kuberuntime_container_linux.go, pkg/kubelet/cm)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from cricket._proto.cri import api_pb2 as pb
from cricket.kubelet.model.base import Resources
from cricket.kubelet.model.container import Container, ResourceRequirements
from cricket.kubelet.model.pod import Pod
from cricket.kubelet.node import Node
from cricket.kubelet.qos import oom_score_adj, total_limits, total_requests
from cricket.kubelet.quantity import parse

PERIOD = 100_000
"""Microseconds in which a CPU quota counts."""

_LEAST_QUOTA, _LEAST_SHARES, _MOST_SHARES = 1000, 2, 262144
_UNITS = ((1 << 30, "GB"), (1 << 20, "MB"), (1 << 10, "KB"))


def container_resources(pod: Pod, container: Container, node: Node) -> Any:
    """LinuxContainerResources, also for UpdateContainerResources."""
    own, of_pod = container.resources, pod.spec.resources or ResourceRequirements()
    limits = {**{k: v for k, v in of_pod.limits.items() if k in ("cpu", "memory")}, **own.limits}
    result = _linux(_amount(own.requests, "cpu"), _amount(limits, "cpu"), _amount(limits, "memory"), node)
    result.oom_score_adj = oom_score_adj(pod, container, node.memory_bytes)
    result.hugepage_limits.extend(_hugepages({**of_pod.limits, **own.limits}, node))
    if node.swap:
        _limit_swap(result, node)
    return result


def pod_resources(pod: Pod, node: Node) -> tuple[Any, Any]:
    """(overhead, resources) of the whole pod, also for UpdatePodSandboxResources."""
    requests, limits = total_requests(pod), total_limits(pod)
    resources = _linux(requests.get("cpu"), limits.get("cpu"), limits.get("memory"), node)
    if not pod.spec.overhead:
        return pb.LinuxContainerResources(), resources
    cpu, memory = _amount(pod.spec.overhead, "cpu"), _amount(pod.spec.overhead, "memory")
    return _linux(cpu, cpu, memory, node), resources


def shares(millis: int) -> int:
    """The CPU weight of thousandths of a CPU."""
    return min(max(millis * 1024 // 1000, _LEAST_SHARES), _MOST_SHARES)


def quota(millis: int) -> int:
    """Microseconds of CPU time in each PERIOD; 0 is no limit."""
    return max(millis * PERIOD // 1000, _LEAST_QUOTA) if millis else 0


def _linux(request: Fraction | None, limit: Fraction | None, memory: Fraction | None, node: Node) -> Any:
    request = limit if request is None else request
    return pb.LinuxContainerResources(
        cpu_period=PERIOD,
        cpu_quota=quota(_milli(limit)),
        cpu_shares=shares(_milli(request)),
        memory_limit_in_bytes=math.ceil(memory or 0),
        # All of a container's processes go together, as kubelets on cgroup v2 have it.
        unified={"memory.oom.group": "1"} if node.unified_cgroups else {},
    )


def _limit_swap(result: Any, node: Node) -> None:
    """None at all: the kubelet's NoSwap."""
    if node.unified_cgroups:
        result.unified["memory.swap.max"] = "0"
    else:
        result.memory_swap_limit_in_bytes = result.memory_limit_in_bytes


def hugepage_limits(amounts: Mapping[str, Fraction], node: Node) -> dict[str, int]:
    """Bytes by size ("2MB"), for each size of the node, 0 where `amounts` says nothing."""
    asked = {_page_size(name): math.ceil(n) for name, n in amounts.items() if name.startswith("hugepages-")}
    return {size: asked.get(size, 0) for size in node.hugepage_sizes}


def _hugepages(limits: Resources, node: Node) -> list[Any]:
    sizes = hugepage_limits({name: parse(value) for name, value in limits.items()}, node)
    return [pb.HugepageLimit(page_size=size, limit=limit) for size, limit in sizes.items()]


def _page_size(name: str) -> str:
    """2MB for hugepages-2Mi."""
    size = math.ceil(parse(name.partition("-")[2]))
    return next((f"{size // unit}{word}" for unit, word in _UNITS if size >= unit), f"{size}B")


def _amount(resources: Resources, name: str) -> Fraction | None:
    return parse(resources[name]) if name in resources else None


def _milli(amount: Fraction | None) -> int:
    return math.ceil((amount or 0) * 1000)
