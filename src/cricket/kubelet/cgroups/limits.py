"""What a pod as a whole may use, and how that is written into cgroup files (kubelet pkg/kubelet/cm). Without I/O."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from fractions import Fraction

import msgspec

from cricket.kubelet.cri_resources import PERIOD, hugepage_limits, quota, shares
from cricket.kubelet.model.container import ResourceRequirements
from cricket.kubelet.model.pod import Pod
from cricket.kubelet.node import Node
from cricket.kubelet.qos import QOSClass, qos_class, total_limits, total_requests
from cricket.kubelet.quantity import parse

_LEAST_SHARES = 2


class Limits(msgspec.Struct, frozen=True):
    """CPU weight in shares, CPU quota in microseconds of each PERIOD, bytes of memory, processes, bytes of huge pages
    by size ("2MB"); None: no limit."""

    shares: int = _LEAST_SHARES
    quota: int | None = None
    memory: int | None = None
    pids: int | None = None
    hugepages: Mapping[str, int] = {}

    def widened(self, other: Limits) -> Limits:
        """The larger one of each: what both fit into while a pod changes from one to the other."""
        return Limits(
            max(self.shares, other.shares),
            _larger(self.quota, other.quota),
            _larger(self.memory, other.memory),
            _larger(self.pids, other.pids),
            {size: max(amount, other.hugepages.get(size, 0)) for size, amount in self.hugepages.items()},
        )


def pod_limits(pod: Pod, node: Node, pids: int = 0) -> Limits:
    """Those of a pod, its overhead included. CPU and memory have a limit when the pod says so, or all of its containers
    do; `pids` is the node's limit for each pod, 0 for none."""
    quality = qos_class(pod)
    requests, limits = total_requests(pod), total_limits(pod)
    found = Limits(pids=pids or None, hugepages=hugepage_limits(requests, node))
    if quality is QOSClass.BEST_EFFORT:
        return found
    cpu, memory = _declared(pod, "cpu", limits), _declared(pod, "memory", limits)
    return msgspec.structs.replace(
        found,
        shares=shares(_milli(requests.get("cpu", Fraction(0)) + _overhead(pod, "cpu"))),
        quota=quota(_milli(cpu)) if cpu else None,
        memory=math.ceil(memory) if memory else None,
    )


def class_shares(pods: Iterable[Pod]) -> dict[QOSClass, int]:
    """The CPU weights of the classes that have a cgroup of their own, for the pods that are there."""
    burstable = [pod for pod in pods if qos_class(pod) is QOSClass.BURSTABLE]
    asked = sum((total_requests(pod).get("cpu", Fraction(0)) + _overhead(pod, "cpu") for pod in burstable), Fraction(0))
    return {QOSClass.BURSTABLE: shares(_milli(asked)), QOSClass.BEST_EFFORT: _LEAST_SHARES}


def v1_files(limits: Limits) -> list[tuple[str, str, str]]:
    """(controller, file, text), in the order of writing."""
    return [
        ("cpu", "cpu.shares", str(limits.shares)),
        ("cpu", "cpu.cfs_period_us", str(PERIOD)),
        ("cpu", "cpu.cfs_quota_us", _text(limits.quota, "-1")),
        ("memory", "memory.limit_in_bytes", _text(limits.memory, "-1")),
        ("pids", "pids.max", _text(limits.pids, "max")),
        *(("hugetlb", f"hugetlb.{size}.limit_in_bytes", str(n)) for size, n in limits.hugepages.items()),
    ]


def v2_files(limits: Limits) -> list[tuple[str, str, str]]:
    """As `v1_files`."""
    return [
        ("cpu", "cpu.weight", str(weight(limits.shares))),
        ("cpu", "cpu.max", f"{_text(limits.quota, 'max')} {PERIOD}"),
        ("memory", "memory.max", _text(limits.memory, "max")),
        ("pids", "pids.max", _text(limits.pids, "max")),
        *(("hugetlb", f"hugetlb.{size}.max", str(n)) for size, n in limits.hugepages.items()),
    ]


def weight(of_shares: int) -> int:
    """cpu.weight (1 to 10000) of shares (2 to 262144), as the kubelet has it."""
    return 1 + (min(max(of_shares, 2), 262144) - 2) * 9999 // 262142


def _declared(pod: Pod, resource: str, limits: Mapping[str, Fraction]) -> Fraction | None:
    """The pod's limit, with overhead; None when there is none. An init container without a limit has none either."""
    own = (pod.spec.resources or ResourceRequirements()).limits
    all_say = all(parse(c.resources.limits.get(resource, "0")) for c in pod.containers())
    if not limits.get(resource) or not (all_say or parse(own.get(resource, "0"))):
        return None
    return limits[resource] + _overhead(pod, resource)


def _overhead(pod: Pod, resource: str) -> Fraction:
    return parse(pod.spec.overhead.get(resource, "0"))


def _milli(amount: Fraction) -> int:
    return math.ceil(amount * 1000)


def _larger(one: int | None, other: int | None) -> int | None:
    return None if one is None or other is None else max(one, other)


def _text(amount: int | None, none: str) -> str:
    return none if amount is None else str(amount)
