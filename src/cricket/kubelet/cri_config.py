"""A pod in CRI's words (kubelet pkg/kubelet/kuberuntime)."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec

from cricket._proto.cri import api_pb2 as pb
from cricket.errors import map_errors
from cricket.kubelet import pod_files
from cricket.kubelet.cgroup_parent import cgroup_parent
from cricket.kubelet.cri_labels import container_annotations, container_labels, pod_annotations, pod_labels
from cricket.kubelet.cri_mounts import container_mounts
from cricket.kubelet.cri_resources import container_resources, pod_resources
from cricket.kubelet.cri_security import container_security, sandbox_security
from cricket.kubelet.dns import dns_config
from cricket.kubelet.env import environment, expand_all
from cricket.kubelet.failure import CreateContainerConfigError, FailedCreatePodSandBox
from cricket.kubelet.hostname import sandbox_hostname
from cricket.kubelet.model.container import Container
from cricket.kubelet.model.objects import Objects
from cricket.kubelet.model.pod import Pod
from cricket.kubelet.node import Node
from cricket.kubelet.userns import pod_userns
from cricket.kubelet.volumes.materialize import HostVolume

__all__ = [
    "Launch", "container_config", "container_resources", "pod_resources", "runtime_handler", "sandbox_config",
]  # fmt: skip


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
    log_directory = pod_files.log_directory(pod, node)
    if pod.spec.security_context.supplemental_groups_policy == "Strict" and not node.groups_policy:
        # Such a runtime would give the container the groups of its image without a word.
        raise FailedCreatePodSandBox("SupplementalGroupsPolicy=Strict is not supported in this node")
    with map_errors(OSError, FailedCreatePodSandBox, "cannot make the log directory", where=log_directory):
        await asyncio.to_thread(pod_files.make_log_directory, pod, None, node)
    overhead, resources = pod_resources(pod, node)
    metadata = pod.metadata
    return pb.PodSandboxConfig(
        metadata=pb.PodSandboxMetadata(
            name=metadata.name, namespace=metadata.namespace, uid=metadata.uid, attempt=attempt
        ),
        hostname=sandbox_hostname(pod, node),
        log_directory=log_directory,
        dns_config=dns_config(pod, node),
        port_mappings=_ports(pod),
        labels=pod_labels(pod),
        annotations=pod_annotations(pod),
        linux=pb.LinuxPodSandboxConfig(
            cgroup_parent=cgroup_parent(pod, node),
            security_context=sandbox_security(pod, pod_userns(pod, node)),
            sysctls={s.name.replace("/", "."): s.value for s in pod.spec.security_context.sysctls},
            overhead=overhead,
            resources=resources,
        ),
    )


def runtime_handler(pod: Pod, node: Node) -> str:
    """ "" is the default one."""
    return node.handler(pod.spec.runtime_class_name)


async def container_config(
    launch: Launch, container: Container, image: Any, image_ref: str, attempt: int, target_id: str = ""
) -> Any:
    """The ContainerConfig; makes /etc/hosts, the termination log, the log's directory and sub-paths of volumes.

    `image` is the Image of ImageStatus, `image_ref` what goes into the config's ImageSpec.image. Raises
    CreateContainerConfigError.
    """
    pod, node = launch.pod, launch.node
    variables = environment(pod, container, launch.objects, node, launch.pod_ips)
    userns = pod_userns(pod, node)
    security = container_security(pod, container, node, image, userns, target_id)
    with map_errors(OSError, CreateContainerConfigError, f'cannot make files of container "{container.name}"'):
        await asyncio.to_thread(pod_files.make_log_directory, pod, container, node)
        mounts = await container_mounts(launch, container, variables, attempt, userns)
    signal = container.lifecycle.stop_signal if container.lifecycle is not None else ""
    return pb.ContainerConfig(
        metadata=pb.ContainerMetadata(name=container.name, attempt=attempt),
        image=pb.ImageSpec(image=image_ref, user_specified_image=container.image),
        command=expand_all(container.command, variables),
        args=expand_all(container.args, variables),
        working_dir=container.working_dir,
        envs=[pb.KeyValue(key=k, value=v.encode(errors="surrogateescape")) for k, v in variables.items()],
        mounts=mounts,
        labels=container_labels(pod, container),
        annotations=container_annotations(pod, container, attempt),
        log_path=pod_files.log_path(container, attempt),
        stdin=container.stdin,
        stdin_once=container.stdin_once,
        tty=container.tty,
        linux=pb.LinuxContainerConfig(resources=container_resources(pod, container, node), security_context=security),
        stop_signal=_signal(signal),
    )


def _ports(pod: Pod) -> list[Any]:
    """Every port, also those without a host port, as the kubelet has it; each name once in a container."""
    sidecars = [container for container in pod.spec.init_containers if container.sidecar]
    return [
        pb.PortMapping(
            protocol=port.protocol,
            container_port=port.container_port,
            host_port=port.host_port,
            host_ip=port.host_ip,
        )
        for container in (*sidecars, *pod.spec.containers)
        for port in container.ports
    ]


def _signal(name: str) -> Any:
    """SIGRTMIN+3 is SIGNAL_SIGRTMINPLUS3."""
    return "SIGNAL_" + name.replace("+", "PLUS").replace("-", "MINUS") if name else pb.SIGNAL_RUNTIME_DEFAULT
