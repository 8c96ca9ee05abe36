"""What containers and the whole pod have of CPU and memory: what is compared, applied and shown when it changes."""

from __future__ import annotations

from cricket.kubelet.model.base import Quantity, Resources
from cricket.kubelet.model.container import Container, ResourceRequirements
from cricket.kubelet.model.pod import Pod
from cricket.kubelet.qos import Amounts, total_limits, total_requests
from cricket.kubelet.quantity import parse, spelled

Sizes = tuple[ResourceRequirements | None, tuple[ResourceRequirements, ...]]


def effective(pod: Pod, container: Container) -> ResourceRequirements:
    """The container's own; where it has no limit of CPU or memory, that of the pod."""
    own, of_pod = container.resources, pod.spec.resources or ResourceRequirements()
    shared = {name: value for name, value in of_pod.limits.items() if name in ("cpu", "memory")}
    return ResourceRequirements({**shared, **own.limits}, own.requests)


def sizes(pod: Pod) -> Sizes:
    """All that may change in place: equal for two pods between which nothing has."""
    return pod.spec.resources, tuple(container.resources for container in pod.containers())


def whole(pod: Pod) -> ResourceRequirements:
    """Limits and requests of the pod as a whole, its overhead included; what not all containers limit has no limit."""
    return ResourceRequirements(_spelled(pod, total_limits(pod)), _spelled(pod, total_requests(pod)))


def _spelled(pod: Pod, amounts: Amounts) -> Resources:
    more = {name: parse(pod.spec.overhead.get(name, "0")) for name in amounts}
    found = {name: amount + more[name] for name, amount in amounts.items()}
    return {name: Quantity(spelled(amount, binary=name != "cpu")) for name, amount in found.items() if amount}
