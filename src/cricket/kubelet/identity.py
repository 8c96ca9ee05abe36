"""When two pods are the same pod: uids and hashes."""

from __future__ import annotations

from cricket.kubelet.model.container import Container
from cricket.kubelet.model.pod import Pod


def spec_hash(pod: Pod) -> str:
    """Changes with every change of the pod's metadata or spec, also with those that are made in place."""
    raise NotImplementedError(pod)


def resize_only(old: Pod, new: Pod) -> bool:
    """Whether `new` differs from `old`, and only in what can be changed in place: CPU and memory, with the same QoS
    class. Then both have the same uid."""
    raise NotImplementedError(old, new)


def container_hash(container: Container) -> str:
    """The hash in the container's annotation `io.kubernetes.container.hash`: everything but resources."""
    raise NotImplementedError(container)
