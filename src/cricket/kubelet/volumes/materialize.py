"""Make a pod's volumes, and take them away."""

from __future__ import annotations

import asyncio
import os
import shutil

import msgspec

from cricket.errors import CricketError, Internal
from cricket.kubelet.failure import FailedMount
from cricket.kubelet.model.base import Quantity
from cricket.kubelet.model.objects import Objects
from cricket.kubelet.model.pod import Pod
from cricket.kubelet.model.volume import ClaimVolume, EmptyDir, Volume
from cricket.kubelet.node import Node
from cricket.kubelet.qos import total_limits
from cricket.kubelet.quantity import whole
from cricket.kubelet.volumes import atomic_writer, directories, host_path, layout, mounting, ownership
from cricket.kubelet.volumes.payload import Payload, payload

HOST_PATH_ANNOTATION = "cricket/host-path"
"""On a PersistentVolumeClaim: the directory of the node to use, instead of one below the agent's own."""


class HostVolume(msgspec.Struct, frozen=True):
    """A volume as containers are to get it: a path of the node, or an image (`path` is then empty) to be pulled by
    `pull_policy`. `read_only` is forced on all mounts."""

    path: str = ""
    image: str = ""
    pull_policy: str = ""
    read_only: bool = False


async def materialize(pod: Pod, objects: Objects, node: Node) -> dict[str, HostVolume]:
    """Make all volumes, or bring those of ConfigMaps, Secrets and the downward API up to date; idempotent, to be called
    again when objects change. Raises FailedMount, with the words for every volume that failed."""
    result: dict[str, HostVolume] = {}
    failures: list[str] = []
    for volume in pod.spec.volumes:
        try:
            result[volume.name] = await _make(volume, pod, objects, node)
        except (CricketError, OSError) as error:
            failures.append(f'MountVolume.SetUp failed for volume "{volume.name}" : {error}')
    if failures:
        raise FailedMount("; ".join(failures))
    return result


async def _make(volume: Volume, pod: Pod, objects: Objects, node: Node) -> HostVolume:
    if volume.host_path is not None:
        await asyncio.to_thread(host_path.check, volume.host_path)
        return HostVolume(volume.host_path.path)
    if volume.image is not None:
        return HostVolume(image=volume.image.reference, pull_policy=volume.image.pull_policy, read_only=True)
    if volume.persistent_volume_claim is not None:
        return await _claim(volume.name, volume.persistent_volume_claim, pod, objects, node)
    files = payload(volume, pod, objects, node)
    if files is not None:
        return await _files(volume, files, pod, node)
    return await _empty_dir(volume.name, volume.empty_dir or EmptyDir(), pod, node)


async def _files(volume: Volume, files: Payload, pod: Pod, node: Node) -> HostVolume:
    plugins = {"config_map": "configmap", "secret": "secret", "downward_api": "downward-api", "projected": "projected"}
    field = next(field for field in plugins if getattr(volume, field) is not None)
    path = layout.volume_dir(node.root, pod.metadata.uid, plugins[field], volume.name)
    await asyncio.to_thread(directories.make, path, 0o755)
    secret = volume.projected is not None and any(source.secret is not None for source in volume.projected.sources)
    if (volume.secret is not None or secret) and not os.path.ismount(path):
        # Secrets are never written to a disk.
        await mounting.mount("-t", "tmpfs", "-o", "mode=0755,nosuid,nodev,noexec", "tmpfs", path, where=path)
    await asyncio.to_thread(atomic_writer.write, path, files, pod.spec.security_context.fs_group)
    return HostVolume(path, read_only=True)


async def _empty_dir(name: str, value: EmptyDir, pod: Pod, node: Node) -> HostVolume:
    path = layout.volume_dir(node.root, pod.metadata.uid, "empty-dir", name)
    memory = value.medium == "Memory"
    new = await asyncio.to_thread(directories.make, path, 0o777)
    if memory and not os.path.ismount(path):
        size = memory_size(value.size_limit, pod, node)
        await mounting.mount("-t", "tmpfs", "-o", f"size={size},mode=0777,nosuid,nodev", "tmpfs", path, where=path)
        new = True
    await _give(path, pod, new)
    return HostVolume(path)


def memory_size(limit: Quantity | None, pod: Pod, node: Node) -> int:
    """Bytes of an emptyDir in memory: the least of its own limit, the pod's memory limit and the node's memory."""
    sizes = [node.memory_bytes]
    if "memory" in (limits := total_limits(pod)):
        sizes.append(int(limits["memory"]))
    if limit is not None:
        sizes.append(whole(limit))
    # 0 would mean half of the machine's memory to tmpfs.
    return min((size for size in sizes if size > 0), default=node.memory_bytes)


async def _claim(name: str, value: ClaimVolume, pod: Pod, objects: Objects, node: Node) -> HostVolume:
    claim = objects.claims.get(f"{pod.metadata.namespace}/{value.claim_name}")
    if claim is None:
        raise FailedMount(f'persistentvolumeclaim "{value.claim_name}" not found')
    path = claim.metadata.annotations.get(HOST_PATH_ANNOTATION) or layout.claim_dir(
        node.root, pod.metadata.namespace, value.claim_name
    )
    if not path.startswith("/"):
        raise FailedMount(f"{HOST_PATH_ANNOTATION} of {value.claim_name} should be an absolute path, not {path}")
    await asyncio.to_thread(directories.make, path, 0o777)
    # There once the pod's first use of the claim is over: giving away its files may take long.
    used = layout.volume_dir(node.root, pod.metadata.uid, "local-volume", name)
    if not os.path.isdir(used):
        if not value.read_only:
            await _give(path, pod, True)
        await asyncio.to_thread(directories.make, used, 0o750)
    return HostVolume(path, read_only=value.read_only)


async def _give(path: str, pod: Pod, wanted: bool) -> None:
    context = pod.spec.security_context
    if context.fs_group is not None:
        policy = context.fs_group_change_policy if wanted else "OnRootMismatch"
        await asyncio.to_thread(ownership.give, path, context.fs_group, policy)


async def cleanup(uid: str, root: str) -> None:
    """Unmount and remove everything that was made for the pod below `root`, by its uid alone; idempotent. Claims and
    hostPaths stay. Raises Internal when something is still mounted: it is never deleted through a mount."""
    path = layout.pod_dir(os.path.realpath(root), uid)
    for point in await asyncio.to_thread(mounting.mount_points, path):
        await mounting.unmount(point)
    if left := await asyncio.to_thread(mounting.mount_points, path):
        raise Internal("a volume is still mounted", where=left[0])
    await asyncio.to_thread(_remove, path)


def _remove(path: str) -> None:
    try:
        shutil.rmtree(path)
    except FileNotFoundError:
        return
    except OSError as error:
        raise Internal("cannot remove the files of a pod", where=path) from error
