"""QoS class, OOM score, the whole pod's requests and limits (kubelet pkg/kubelet/qos; component-helpers/resource)."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from fractions import Fraction

from cricket.kubelet.model.base import Resources
from cricket.kubelet.model.container import Container, ResourceRequirements
from cricket.kubelet.model.pod import Pod
from cricket.kubelet.quantity import parse

NODE_CRITICAL_PRIORITY = 2_000_001_000
"""The priority of the class system-node-critical: such a pod is the last to be killed."""

_GUARANTEED_SCORE, _BEST_EFFORT_SCORE = -997, 1000
_COUNTED = ("cpu", "memory")

Amounts = dict[str, Fraction]


class QOSClass(StrEnum):
    """As in the pod's status."""

    GUARANTEED = "Guaranteed"
    BURSTABLE = "Burstable"
    BEST_EFFORT = "BestEffort"


def qos_class(pod: Pod) -> QOSClass:
    """By the CPU and memory of the pod, if it says so itself, else of all containers."""
    own = pod.spec.resources
    parts = [own] if own and (own.limits or own.requests) else [c.resources for c in pod.containers()]
    amounts = [(_counted(p.requests), _counted(p.limits)) for p in parts]
    if not any(requests or limits for requests, limits in amounts):
        return QOSClass.BEST_EFFORT
    if all(len(limits) == 2 and requests == limits for requests, limits in amounts):
        return QOSClass.GUARANTEED
    return QOSClass.BURSTABLE


def _counted(resources: Resources) -> Amounts:
    return {k: v for k in _COUNTED if k in resources and (v := parse(resources[k]))}


def total_requests(pod: Pod) -> Amounts:
    """What the pod reserves, without overhead: the larger of what runs together and what its init containers need."""
    return _total(pod, "requests")


def total_limits(pod: Pod) -> Amounts:
    """What the pod may use, without overhead; a resource that some container has no limit for is not among them."""
    limits = _total(pod, "limits")
    own = (pod.spec.resources or ResourceRequirements()).limits
    for resource in [r for r in limits if r not in own]:
        running = [*pod.spec.containers, *(c for c in pod.spec.init_containers if c.sidecar)]
        if any(resource not in c.resources.limits for c in running):
            del limits[resource]
    return limits


def _total(pod: Pod, side: str) -> Amounts:
    totals = _sum(getattr(c.resources, side) for c in pod.spec.containers)
    sidecars: Amounts = {}
    peak: Amounts = {}
    for container in pod.spec.init_containers:
        amounts = _sum([getattr(container.resources, side)])
        if container.sidecar:
            sidecars = _plus(sidecars, amounts)
            peak = _largest(peak, sidecars)
        else:
            peak = _largest(peak, _plus(sidecars, amounts))
    totals = _largest(_plus(totals, sidecars), peak)
    if pod.spec.resources is not None:
        totals.update(_sum([getattr(pod.spec.resources, side)]))
    return totals


def _sum(many: Iterable[Resources]) -> Amounts:
    result: Amounts = {}
    for resources in many:
        result = _plus(result, {k: parse(v) for k, v in resources.items()})
    return result


def _plus(a: Amounts, b: Amounts) -> Amounts:
    return {k: a.get(k, Fraction(0)) + b.get(k, Fraction(0)) for k in {**a, **b}}


def _largest(a: Amounts, b: Amounts) -> Amounts:
    return {k: max(a.get(k, Fraction(0)), b.get(k, Fraction(0))) for k in {**a, **b}}


def oom_score_adj(pod: Pod, container: Container, memory_capacity: int) -> int:
    """Guaranteed and critical pods last, best effort first, burstable ones by the share of memory they did not reserve;
    a sidecar not before the first of the containers it serves."""
    quality = qos_class(pod)
    critical = pod.spec.priority >= NODE_CRITICAL_PRIORITY or pod.spec.priority_class_name == "system-node-critical"
    if critical or quality is QOSClass.GUARANTEED:
        return _GUARANTEED_SCORE
    if quality is QOSClass.BEST_EFFORT:
        return _BEST_EFFORT_SCORE
    score = _burstable_score(pod, container, memory_capacity)
    if container.sidecar and container in pod.spec.init_containers:
        score = min(score, max(_burstable_score(pod, c, memory_capacity) for c in pod.spec.containers))
    return score


def _burstable_score(pod: Pod, container: Container, memory_capacity: int) -> int:
    own = parse(container.resources.requests.get("memory", "0"))
    if pod.spec.resources is not None and "memory" in pod.spec.resources.requests:
        all_own = [parse(c.resources.requests.get("memory", "0")) for c in pod.containers()]
        spare = max(Fraction(0), parse(pod.spec.resources.requests["memory"]) - sum(all_own))
        own += int(spare / len(all_own))
    score = 1000 - int(1000 * own / memory_capacity)
    return max(1000 + _GUARANTEED_SCORE, min(score, _BEST_EFFORT_SCORE - 1))
