"""fieldRef and resourceFieldRef: what a pod's variables and downward files can say of the pod."""

from __future__ import annotations

from fractions import Fraction

from cricket.kubelet.failure import CreateContainerConfigError
from cricket.kubelet.model.container import Container
from cricket.kubelet.model.env import ResourceFieldSelector
from cricket.kubelet.model.pod import Pod
from cricket.kubelet.node import Node
from cricket.kubelet.quantity import divided, parse
from cricket.kubelet.validate.env import SUBSCRIPT


def pod_field(pod: Pod, path: str, node: Node, pod_ips: tuple[str, ...] = ()) -> str:
    """The text of a field. Labels and annotations as a whole are lines of key="value"."""
    metadata = pod.metadata
    if subscript := SUBSCRIPT.fullmatch(path):
        values = metadata.labels if subscript[1] == "metadata.labels" else metadata.annotations
        return values.get(subscript[2], "")
    ips = node.host_ips if pod.spec.host_network else pod_ips
    match path:
        case "metadata.name":
            return metadata.name
        case "metadata.namespace":
            return metadata.namespace
        case "metadata.uid":
            return metadata.uid
        case "metadata.labels":
            return _lines(metadata.labels)
        case "metadata.annotations":
            return _lines(metadata.annotations)
        case "spec.nodeName":
            return node.name
        case "spec.serviceAccountName":
            return "default"
        case "status.hostIP":
            return next(iter(node.host_ips), "")
        case "status.hostIPs":
            return ",".join(node.host_ips)
        case "status.podIP":
            return next(iter(ips), "")
        case "status.podIPs":
            return ",".join(ips)
    raise CreateContainerConfigError(f"unsupported fieldPath: {path}")


def _lines(values: dict[str, str]) -> str:
    return "\n".join(f"{key}={_quoted(value)}" for key, value in sorted(values.items()))


def _quoted(text: str) -> str:
    """As Go's %q: what cannot be printed is escaped."""
    plain = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t", "\r": "\\r", "\a": "\\a", "\b": "\\b", "\f": "\\f"}
    plain["\v"] = "\\v"
    return '"' + "".join(plain.get(c) or (c if c.isprintable() else _escaped(c)) for c in text) + '"'


def _escaped(character: str) -> str:
    code = ord(character)
    if code < 0x80:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def resource_field(pod: Pod, selector: ResourceFieldSelector, node: Node, container: Container | None = None) -> str:
    """A limit or request of a container (`container`, when the selector names none), divided and rounded up. A limit
    that is not set is what the node has."""
    named = next((c for c in pod.containers() if c.name == selector.container_name), container)
    if named is None:
        raise CreateContainerConfigError(f"container {selector.container_name} not found")
    side, _, name = selector.resource.partition(".")
    amounts = named.resources.limits if side == "limits" else named.resources.requests
    amount = parse(amounts[name]) if name in amounts else Fraction(0)
    if side == "limits" and not amount:
        amount = {"cpu": Fraction(node.cpu_millis, 1000), "memory": Fraction(node.memory_bytes)}.get(name, amount)
    return str(divided(amount, selector.divisor))
