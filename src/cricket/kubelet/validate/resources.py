"""Requests and limits."""

from __future__ import annotations

from cricket.kubelet.manifest.finding import Finding, Findings, Path, one_of
from cricket.kubelet.model.base import Resources
from cricket.kubelet.model.container import Container, ResourceRequirements
from cricket.kubelet.model.pod import PodSpec
from cricket.kubelet.quantity import parse

_KNOWN = ("cpu", "memory", "ephemeral-storage")
_POD_LEVEL = ("cpu", "memory")


def requirements(path: Path, value: ResourceRequirements, pod_level: bool = False) -> Findings:
    """Known resources, nothing negative, requests within limits."""
    yield from amounts((*path, "limits"), value.limits, pod_level)
    # Requests that came from limits were looked at.
    own = {name: amount for name, amount in value.requests.items() if value.limits.get(name) != amount}
    yield from amounts((*path, "requests"), own, pod_level)
    for name, request in value.requests.items():
        limit = value.limits.get(name)
        if limit is not None and parse(request) > parse(limit):
            yield Finding((*path, "requests", name), f"{request} is more than the limit of {limit}")
        elif name.startswith("hugepages-") and (limit is None or parse(limit) != parse(request)):
            yield Finding((*path, "requests", name), "huge pages need a limit that is the same as the request")


def amounts(path: Path, values: Resources, pod_level: bool = False) -> Findings:
    """One side of them, or overhead."""
    for name, amount in values.items():
        here = (*path, name)
        if parse(amount) < 0:
            yield Finding(here, f"{amount} is negative")
        if name.startswith("hugepages-"):
            continue
        if name == "ephemeral-storage" and not pod_level:
            yield Finding(here, "ignored: nothing is evicted here, so disk use is not limited", warning=True)
        elif name not in (_POD_LEVEL if pod_level else _KNOWN):
            yield Finding(here, "unknown resource: cpu, memory and hugepages-SIZE; devices are not handed out here")


def resize_policy(path: Path, container: Container) -> Findings:
    """cpu and memory, each once."""
    seen = set()
    for i, policy in enumerate(container.resize_policy):
        here = (*path, i)
        yield from one_of((*here, "resourceName"), policy.resource_name, ("cpu", "memory"))
        yield from one_of((*here, "restartPolicy"), policy.restart_policy, ("NotRequired", "RestartContainer"))
        if policy.resource_name in seen:
            yield Finding((*here, "resourceName"), f'duplicate value "{policy.resource_name}"')
        seen.add(policy.resource_name)


def pod_level(path: Path, spec: PodSpec) -> Findings:
    """The pod's own: no container above it, and not less than they reserve together."""
    if spec.resources is None:
        return
    yield from requirements(path, spec.resources, pod_level=True)
    for name, request in spec.resources.requests.items():
        total = sum(parse(c.resources.requests.get(name, "0")) for c in spec.containers)
        if total > parse(request):
            yield Finding((*path, "requests", name), f"{request} is less than the containers request together")
    for i, container in enumerate(spec.containers):
        for name, limit in container.resources.limits.items():
            own = spec.resources.limits.get(name)
            if own is not None and parse(limit) > parse(own):
                here: Path = ("spec", "containers", i, "resources", "limits", name)
                yield Finding(here, f"{limit} is more than the pod's limit of {own}")
