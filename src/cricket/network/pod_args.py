"""What a pod's configuration means to plugins: CNI_ARGS and capability arguments (CNI CONVENTIONS.md)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from cricket.errors import InvalidArgument
from cricket.network import quantity
from cricket.types.sandbox import PortMapping, SandboxConfig

_INGRESS, _EGRESS = "kubernetes.io/ingress-bandwidth", "kubernetes.io/egress-bandwidth"
_SLOWEST, _FASTEST = 10**3, 10**15  # bit/s, the range that Kubernetes allows
_BURST_SECONDS = 0.1
_SMALLEST_BURST = 8 << 16  # bits: one segment of offloaded TCP (64 KiB)
_LARGEST_BURST = (1 << 32) - 1  # the bandwidth plugin's own limit

# Kubernetes has no field for these, so the pod's annotations carry them; only plugins that declare the capability
# see them, and so whoever writes the network configuration decides whether pods may choose.
_PREFIX = "network.cricket.dev/"
_ANNOTATED = {
    "mac": "mac",
    "infinibandGUID": "infiniband-guid",
    "deviceID": "device-id",
}
_ANNOTATED_LISTS = {"aliases": "aliases", "ips": "ips"}

# containerd and CRI-O offer all annotations under this name.
_ALL_ANNOTATIONS = "io.kubernetes.cri.pod-annotations"


def cni_args(sandbox_id: str, config: SandboxConfig) -> tuple[tuple[str, str], ...]:
    """CNI_ARGS in the order that plugins have come to know. Raises InvalidArgument for values it cannot carry."""
    meta = config.metadata
    args = (
        ("IgnoreUnknown", "1"),
        ("K8S_POD_NAMESPACE", meta.namespace),
        ("K8S_POD_NAME", meta.name),
        ("K8S_POD_INFRA_CONTAINER_ID", sandbox_id),
        ("K8S_POD_UID", meta.uid),
    )
    for name, value in args:
        if any(c in ";=\0" for c in value):
            raise InvalidArgument(f"{name} {value[:80]!r} must not hold ';', '=' or NUL", where=sandbox_id)
    return args


def capabilities(config: SandboxConfig, pod_cidrs: Sequence[str] = ()) -> dict[str, object]:
    """Capability arguments by name; what the pod does not ask for is left out. Raises InvalidArgument."""
    found: dict[str, object] = {
        "portMappings": [_port(m) for m in config.port_mappings if m.host_port > 0],
        "bandwidth": bandwidth(config.annotations),
        **of_node(pod_cidrs),
        "cgroupPath": config.cgroup_parent,
        _ALL_ANNOTATIONS: dict(config.annotations),
    }
    if config.dns is not None:
        dns = {"servers": config.dns.servers, "searches": config.dns.searches, "options": config.dns.options}
        found["dns"] = {k: list(v) for k, v in dns.items() if v}
    for capability, annotation in _ANNOTATED.items():
        found[capability] = config.annotations.get(_PREFIX + annotation, "").strip()
    for capability, annotation in _ANNOTATED_LISTS.items():
        words = config.annotations.get(_PREFIX + annotation, "").split(",")
        found[capability] = [w.strip() for w in words if w.strip()]
    return {k: v for k, v in found.items() if v}


def of_node(pod_cidrs: Sequence[str]) -> dict[str, object]:
    """The capability arguments that are the same for every pod of the node."""
    return {"ipRanges": [[{"subnet": c}] for c in pod_cidrs]} if pod_cidrs else {}


def bandwidth(annotations: Mapping[str, str]) -> dict[str, int]:
    """Rates in bit/s and bursts in bits from the pod's annotations; empty without them. Raises InvalidArgument.

    The burst is a tenth of a second of the rate. containerd and CRI-O give 512 MB whatever the rate, which lets a slow
    pod run without a limit for minutes and overflows the kernel's clock below about 16 Mbit/s.
    """
    found: dict[str, int] = {}
    for direction, annotation in (("ingress", _INGRESS), ("egress", _EGRESS)):
        text = annotations.get(annotation)
        if text is None:
            continue
        try:
            rate = quantity.parse(text)
        except InvalidArgument as e:
            raise InvalidArgument(e.what, where=f"annotation {annotation}", todo=e.todo) from None
        if not _SLOWEST <= rate <= _FASTEST:
            where, todo = f"annotation {annotation}", "Give between 1k and 1P bits per second"
            raise InvalidArgument(f"a bandwidth of {text} is not reasonable", where=where, todo=todo)
        burst = min(max(int(rate * _BURST_SECONDS), _SMALLEST_BURST), _LARGEST_BURST)
        found |= {f"{direction}Rate": rate, f"{direction}Burst": burst}
    return found


def _port(mapping: PortMapping) -> dict[str, object]:
    if not (0 < mapping.host_port < 65536 and 0 < mapping.container_port < 65536):
        raise InvalidArgument(f"port mapping {mapping.host_port}:{mapping.container_port} is out of range")
    out: dict[str, object] = {
        "hostPort": mapping.host_port,
        "containerPort": mapping.container_port,
        "protocol": mapping.protocol.name.lower(),
    }
    if mapping.host_ip:
        out["hostIP"] = mapping.host_ip
    return out
