"""Mounts of a container."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Any

from cricket._proto.cri import api_pb2 as pb
from cricket.kubelet import pod_files
from cricket.kubelet.env import expand
from cricket.kubelet.failure import CreateContainerConfigError
from cricket.kubelet.model.container import Container
from cricket.kubelet.model.volume import VolumeMount
from cricket.kubelet.volumes import layout, sub_path

if TYPE_CHECKING:
    from cricket.kubelet.cri_config import Launch

_PROPAGATION = {
    "None": pb.PROPAGATION_PRIVATE,
    "HostToContainer": pb.PROPAGATION_HOST_TO_CONTAINER,
    "Bidirectional": pb.PROPAGATION_BIDIRECTIONAL,
}
_HOSTS = "/etc/hosts"


async def container_mounts(
    launch: Launch, container: Container, variables: dict[str, str], attempt: int, userns: Any
) -> list[Any]:
    """The volume mounts, /etc/hosts unless the container mounts its own, and the termination message. Raises
    CreateContainerConfigError, OSError."""
    pod, node = launch.pod, launch.node
    mounts = [await _volume(launch, container, i, variables) for i in range(len(container.volume_mounts))]
    ips = node.host_ips if pod.spec.host_network else launch.pod_ips
    if ips and not any(mount.mount_path == _HOSTS for mount in container.volume_mounts):
        path = await asyncio.to_thread(pod_files.write_hosts, pod, node, ips)
        mounts.append(pb.Mount(container_path=_HOSTS, host_path=path, selinux_relabel=True))
    path = await asyncio.to_thread(pod_files.make_termination_log, pod, container, node, attempt)
    mounts.append(pb.Mount(container_path=container.termination_message_path, host_path=path, selinux_relabel=True))
    if userns is not None and userns.mode == pb.POD:
        for mount in mounts:
            mount.uidMappings.extend(userns.uids)
            mount.gidMappings.extend(userns.gids)
    return mounts


async def _volume(launch: Launch, container: Container, index: int, variables: dict[str, str]) -> Any:
    mount = container.volume_mounts[index]
    volume = launch.volumes.get(mount.name)
    if volume is None:
        raise CreateContainerConfigError(
            f'cannot find volume "{mount.name}" to mount into container "{container.name}"'
        )
    inner = _sub_path(mount, variables)
    result = pb.Mount(
        container_path=mount.mount_path if mount.mount_path.startswith("/") else f"/{mount.mount_path}",
        readonly=mount.read_only or volume.read_only,
        recursive_read_only=_recursive(launch, mount),
        propagation=_PROPAGATION[mount.mount_propagation],
        selinux_relabel=not volume.image and _is_ours(launch, volume.path),
    )
    if volume.image:
        reference = launch.image_refs.get(mount.name, volume.image)
        result.image.image, result.image.user_specified_image = reference, volume.image
        result.image_sub_path = inner
    elif inner:
        uid, root = launch.pod.metadata.uid, os.path.realpath(launch.node.root)
        result.host_path = layout.sub_path_target(root, uid, mount.name, container.name, index)
        await sub_path.bind(volume.path, inner, result.host_path)
    else:
        result.host_path = volume.path
    return result


def _is_ours(launch: Launch, path: str) -> bool:
    """Whether the agent made it; labels of other files of the node are not for us to change."""
    return path.startswith(launch.node.root + "/")


def _sub_path(mount: VolumeMount, variables: dict[str, str]) -> str:
    if not mount.sub_path_expr:
        return mount.sub_path
    inner = expand(mount.sub_path_expr, variables)
    if "$(" in inner:
        raise CreateContainerConfigError(f"subPathExpr {mount.sub_path_expr} names a variable that is not set")
    if inner.startswith("/"):
        raise CreateContainerConfigError(f"error SubPath `{inner}` must not be an absolute path")
    if ".." in inner.split("/"):
        raise CreateContainerConfigError(f"unable to provision SubPath `{inner}`: must not contain '..'")
    return inner


def _recursive(launch: Launch, mount: VolumeMount) -> bool:
    if mount.recursive_read_only == "Disabled":
        return False
    can = launch.node.handler(launch.pod.spec.runtime_class_name) in launch.node.rro_handlers
    if not can and mount.recursive_read_only == "Enabled":
        said = f'volume "{mount.name}" requested recursive read-only mode, but it is not supported by the runtime'
        raise CreateContainerConfigError(f"failed to resolve recursive read-only mode: {said}")
    return can
