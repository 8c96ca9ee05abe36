"""The name of a pod in its own UTS namespace (kubelet pkg/kubelet/kubelet_pods.go)."""

from __future__ import annotations

from cricket.kubelet.failure import FailedCreatePodSandBox
from cricket.kubelet.model.pod import Pod
from cricket.kubelet.node import Node

_LABEL, _KERNEL = 63, 64


def hostname_and_domain(pod: Pod, node: Node) -> tuple[str, str]:
    """The hostname, cut to 63 characters, and the domain that a subdomain gives, or ""."""
    spec = pod.spec
    if spec.hostname_override is not None:
        return _cut(spec.hostname_override), ""
    domain = ""
    if spec.subdomain:
        domain = f"{spec.subdomain}.{pod.metadata.namespace}.svc.{node.cluster_domain}".rstrip(".")
    return _cut(spec.hostname or pod.metadata.name), domain


def sandbox_hostname(pod: Pod, node: Node) -> str:
    """The hostname for RunPodSandbox: "" on the host's network, with the domain when the pod wants that. Raises
    FailedCreatePodSandBox when the kernel cannot take it."""
    if pod.spec.host_network:
        return ""
    hostname, domain = hostname_and_domain(pod, node)
    if not pod.spec.set_hostname_as_fqdn or not domain:
        return hostname
    full = f"{hostname}.{domain}"
    if len(full) > _KERNEL:
        raise FailedCreatePodSandBox(
            f"Failed to construct FQDN from pod hostname and cluster domain, FQDN {full} is too long "
            f"({_KERNEL} characters is the max, {len(full)} characters requested)"
        )
    return full


def _cut(name: str) -> str:
    return name if len(name) <= _LABEL else name[:_LABEL].rstrip("-.")
