"""When two pods are the same pod: uids and hashes."""

from __future__ import annotations

import hashlib
import uuid
from typing import Any

import msgspec
from msgspec.structs import replace

from cricket.kubelet.model.container import Container, ResourceRequirements
from cricket.kubelet.model.pod import Pod, PodSpec
from cricket.kubelet.qos import qos_class

_RESIZABLE = ("cpu", "memory")


def pod_uid(pod: Pod, node: str) -> str:
    """In the form of a UUID: the same for the same pod on the same node, another one after every change but those that
    are made in place. (The kubelet makes a static pod's uid of its manifest, too.)"""
    text = _hash([node, str(qos_class(pod)), _fixed(pod)])
    return str(uuid.UUID(text[:32]))


def spec_hash(pod: Pod) -> str:
    """Changes with every change of the pod's metadata or spec, also with those that are made in place."""
    return _hash([_plain(pod)])[:16]


def resize_only(old: Pod, new: Pod) -> bool:
    """Whether `new` differs from `old`, and only in what can be changed in place: CPU and memory of containers,
    sidecars or the pod, with the same QoS class. Then both have the same uid."""
    return (
        spec_hash(old) != spec_hash(new)
        and qos_class(old) is qos_class(new)
        and msgspec.to_builtins(_fixed(old)) == msgspec.to_builtins(_fixed(new))
    )


def container_hash(container: Container) -> str:
    """The hash in the container's annotation `io.kubernetes.container.hash`: everything but CPU and memory."""
    return _hash([_without_sizes(container)])[:8]


def _fixed(pod: Pod) -> Pod:
    """The pod without its uid and without what can be changed in place."""
    spec: PodSpec = replace(
        pod.spec,
        containers=tuple(_without_sizes(c) for c in pod.spec.containers),
        init_containers=tuple(_without_sizes(c) if c.sidecar else c for c in pod.spec.init_containers),
        resources=None if pod.spec.resources is None else _stripped(pod.spec.resources),
    )
    return _plain(replace(pod, spec=spec))


def _plain(pod: Pod) -> Pod:
    return replace(pod, metadata=replace(pod.metadata, uid=""), origin="", owner=None)


def _without_sizes(container: Container) -> Container:
    return replace(container, resources=_stripped(container.resources))


def _stripped(value: ResourceRequirements) -> ResourceRequirements:
    return ResourceRequirements(
        limits={k: v for k, v in value.limits.items() if k not in _RESIZABLE},
        requests={k: v for k, v in value.requests.items() if k not in _RESIZABLE},
    )


def _hash(parts: list[Any]) -> str:
    return hashlib.sha256(msgspec.json.encode(parts, order="sorted")).hexdigest()
