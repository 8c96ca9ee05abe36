"""Labels and annotations by which a kubelet knows its pods and containers again (kuberuntime/labels.go)."""

from __future__ import annotations

import msgspec

from cricket.kubelet.identity import container_hash, spec_hash
from cricket.kubelet.model.container import Container
from cricket.kubelet.model.pod import Pod

POD_NAME, POD_NAMESPACE = "io.kubernetes.pod.name", "io.kubernetes.pod.namespace"
POD_UID, CONTAINER_NAME = "io.kubernetes.pod.uid", "io.kubernetes.container.name"
HASH = "io.kubernetes.container.hash"
RESTART_COUNT = "io.kubernetes.container.restartCount"
MESSAGE_PATH = "io.kubernetes.container.terminationMessagePath"
MESSAGE_POLICY = "io.kubernetes.container.terminationMessagePolicy"
GRACE_PERIOD = "io.kubernetes.pod.terminationGracePeriod"
PRE_STOP = "io.kubernetes.container.preStopHandler"
PORTS = "io.kubernetes.container.ports"
CONFIG_HASH, CONFIG_SOURCE = "kubernetes.io/config.hash", "kubernetes.io/config.source"


def pod_labels(pod: Pod) -> dict[str, str]:
    """Of a sandbox: the pod's own, and who it is."""
    return {**pod.metadata.labels, **_identity(pod)}


def pod_annotations(pod: Pod) -> dict[str, str]:
    """Of a sandbox: the pod's own, and those that the kubelet gives to pods from files: the hash is `spec_hash`."""
    return {**pod.metadata.annotations, CONFIG_HASH: spec_hash(pod), CONFIG_SOURCE: "file"}


def container_labels(pod: Pod, container: Container) -> dict[str, str]:
    """Of a container."""
    return {**_identity(pod), CONTAINER_NAME: container.name}


def container_annotations(pod: Pod, container: Container, attempt: int) -> dict[str, str]:
    """Of a container: what a restarted agent needs to stop it properly when its manifest is gone."""
    result = {
        HASH: container_hash(container),
        RESTART_COUNT: str(attempt),
        MESSAGE_PATH: container.termination_message_path,
        MESSAGE_POLICY: container.termination_message_policy,
        GRACE_PERIOD: str(pod.spec.termination_grace_period_seconds),
    }
    if container.lifecycle is not None and container.lifecycle.pre_stop is not None:
        result[PRE_STOP] = msgspec.json.encode(container.lifecycle.pre_stop).decode()
    if container.ports:
        result[PORTS] = msgspec.json.encode(container.ports).decode()
    return result


def _identity(pod: Pod) -> dict[str, str]:
    metadata = pod.metadata
    return {POD_NAME: metadata.name, POD_NAMESPACE: metadata.namespace, POD_UID: metadata.uid}
