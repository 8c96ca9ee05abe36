"""A pod in CRI's words."""

from __future__ import annotations

from typing import Any

import msgspec

from cricket.kubelet.model.container import Container
from cricket.kubelet.model.objects import Objects
from cricket.kubelet.model.pod import Pod
from cricket.kubelet.node import Node
from cricket.kubelet.volumes.materialize import HostVolume


class Launch(msgspec.Struct, frozen=True):
    """What a container of a pod needs, all of it known before any is created."""

    pod: Pod
    node: Node
    objects: Objects
    volumes: dict[str, HostVolume]
    pod_ips: tuple[str, ...]
    image_refs: dict[str, str] = {}
    """Image volumes: the runtime's image reference, as PullImage or ImageStatus gave it, by the volume's name."""


async def sandbox_config(pod: Pod, node: Node, attempt: int = 0) -> Any:
    """The PodSandboxConfig. Allocates the ids of a pod with `hostUsers: false`; makes the log directory. Raises
    FailedCreatePodSandBox. The runtime handler for RunPodSandbox is `runtime_handler(pod, node)`."""
    raise NotImplementedError(pod, node, attempt)


def runtime_handler(pod: Pod, node: Node) -> str:
    """ "" is the default one."""
    raise NotImplementedError(pod, node)


async def container_config(
    launch: Launch, container: Container, image: Any, image_ref: str, attempt: int, target_id: str = ""
) -> Any:
    """The ContainerConfig; makes /etc/hosts, the termination log, the log's directory and sub-paths of volumes.

    `image` is the Image of ImageStatus, `image_ref` what goes into the config's ImageSpec.image. Raises
    CreateContainerConfigError.
    """
    raise NotImplementedError(launch, container, image, image_ref, attempt, target_id)


def container_resources(pod: Pod, container: Container, node: Node) -> Any:
    """LinuxContainerResources, also for UpdateContainerResources."""
    raise NotImplementedError(pod, container, node)


def pod_resources(pod: Pod, node: Node) -> tuple[Any, Any]:
    """(overhead, resources) of the whole pod, also for UpdatePodSandboxResources."""
    raise NotImplementedError(pod, node)
