"""A container's root file system and volumes, mounted in its bundle."""

from __future__ import annotations

import os

import msgspec

from cricket.errors import ImageVolumeMountFailed, InvalidArgument, map_errors
from cricket.kernel import mounts
from cricket.kernel.confined import open_in_root, open_root
from cricket.kernel.effects import effect
from cricket.kernel.files import make_dir
from cricket.lifecycle.container_purge import volume_key
from cricket.lifecycle.parts import Parts
from cricket.oci.inputs import ResolvedMount
from cricket.oci.resolve import resolve_mounts
from cricket.types.container import VolumeMount
from cricket.types.image import Image
from cricket.types.mount import Mount
from cricket.types.sandbox import Sandbox
from cricket.types.security import NamespaceMode, UserNamespace


def userns_of(box: Sandbox) -> UserNamespace | None:
    """The pod's own user namespace, None when it uses the host's."""
    userns = box.config.security.namespaces.userns
    return userns if userns is not None and userns.mode is NamespaceMode.POD else None


def mount_rootfs(e: Parts, box: Sandbox, container_id: str, image: Image) -> str:
    """Mount a writable root file system for the container; returns its path. Raises Internal."""
    userns = userns_of(box)
    owner = (userns.uids[0].host_id, userns.gids[0].host_id) if userns else None
    mount = e.snapshots.prepare(container_id, image.chain_id, owner=owner)
    effect("prepare snapshot")
    e.bundles.make(container_id)
    target = e.layout.rootfs(container_id)
    if userns is not None:
        mount = _idmap_lowers(e, box, container_id, mount)
    mounts.perform(mount, target)
    effect("mount rootfs")
    return target


def _idmap_lowers(e: Parts, box: Sandbox, container_id: str, mount: Mount) -> Mount:
    """Layers stay as they are on disk; the container sees their ids through its user namespace."""
    pin = e.layout.pin(box.id, "user")
    lowers = []
    for index, lower in enumerate(mount.lowers):
        target = f"{e.layout.bundle(container_id)}/lowers/{index}"
        make_dir(target, 0o711)
        mounts.bind_idmapped(lower, target, pin, recursive=False)
        lowers.append(target)
    effect("idmap layers")
    return msgspec.structs.replace(mount, lowers=tuple(lowers))


def resolve_volumes(
    e: Parts, box: Sandbox, container_id: str, volumes: tuple[VolumeMount, ...], idmap_by_runtime: bool
) -> tuple[tuple[ResolvedMount, ...], tuple[VolumeMount, ...]]:
    """Make the sources of all volumes ready.

    Returns what the spec is made of, and the mounts as the status shows them: image volumes with the Image.id
    (checklist 30). Missing host paths are made as directories. Raises InvalidArgument, FailedPrecondition,
    ImageVolumeMountFailed, Internal.
    """
    shown = list(volumes)

    def image_source(volume: VolumeMount) -> str:
        index = next(i for i, v in enumerate(volumes) if v is volume)
        source, image_id = _image_volume(e, container_id, index, volume)
        shown[index] = msgspec.structs.replace(volume, image=image_id)
        return source

    resolved = list(resolve_mounts(volumes, image_source=image_source))
    effect("resolve volumes")
    for index, each in enumerate(resolved):
        if (each.mount.uid_mappings or each.mount.gid_mappings) and not idmap_by_runtime:
            source = _idmap_volume(e, box, container_id, index, each.source)
            resolved[index] = msgspec.structs.replace(each, source=source, idmapped=True)
    return tuple(resolved), tuple(shown)


def _idmap_volume(e: Parts, box: Sandbox, container_id: str, index: int, source: str) -> str:
    if userns_of(box) is None:
        raise InvalidArgument("mounts: id mappings need a pod with a user namespace", where=source)
    target = e.layout.volume(container_id, index)
    if os.path.isdir(source):
        make_dir(target)
    else:
        make_dir(os.path.dirname(target))
        with open(target, "wb"):
            pass
    mounts.bind_idmapped(source, target, e.layout.pin(box.id, "user"))
    effect("idmap volume")
    return target


def _image_volume(e: Parts, container_id: str, index: int, volume: VolumeMount) -> tuple[str, str]:
    if not volume.readonly:
        raise InvalidArgument("an image volume must be read-only", where=f"mounts[{volume.container_path}].readonly")
    image = e.images.find(volume.image)
    if image is None:
        raise ImageVolumeMountFailed("the image of a volume is not present", where=volume.image, todo="Pull it first.")
    key = volume_key(container_id, index)
    target = e.layout.volume(container_id, index)
    make_dir(target)
    mounts.perform(e.snapshots.view(key, image.chain_id), target)
    effect("mount image volume")
    if not volume.image_sub_path:
        return target, image.id
    return _sub_path(target, volume), image.id


def _sub_path(root: str, volume: VolumeMount) -> str:
    """The directory or file of an image that the volume shows; symlinks in the image cannot lead out of it."""
    what = f"the image has no {volume.image_sub_path!r} to mount"
    with map_errors(OSError, ImageVolumeMountFailed, what, where=volume.image):
        directory = open_root(root)
        try:
            found = open_in_root(directory, volume.image_sub_path, os.O_PATH)
            try:
                return os.readlink(f"/proc/self/fd/{found}")
            finally:
                os.close(found)
        finally:
            os.close(directory)
