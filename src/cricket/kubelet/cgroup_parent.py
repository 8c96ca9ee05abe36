"""The cgroup of a pod, by its QoS class (kubelet pkg/kubelet/cm)."""

from __future__ import annotations

from cricket.kubelet.model.pod import Pod
from cricket.kubelet.node import Node
from cricket.kubelet.qos import QOSClass, qos_class


def cgroup_parent(pod: Pod, node: Node) -> str:
    """ROOT[/burstable|/besteffort]/podUID, or the same as nested slices of systemd."""
    return class_cgroup(qos_class(pod), node, f"pod{pod.metadata.uid}")


def class_cgroup(quality: QOSClass, node: Node, *parts: str) -> str:
    """The cgroup of a class, ROOT itself for the guaranteed pods, or one in it."""
    above = [part for part in node.cgroup_root.split("/") if part]
    named = [quality.lower()] if quality is not QOSClass.GUARANTEED else []
    path = [*above, *named, *parts]
    return _slices(path) if node.systemd else "/" + "/".join(path)


def _slices(parts: list[str]) -> str:
    """systemd nests by dashes in names, so that a part has none of its own."""
    result, name = "", ""
    for part in parts:
        name = f"{name}-{part.replace('-', '_')}" if name else part.replace("-", "_")
        result += f"/{name}.slice"
    return result
