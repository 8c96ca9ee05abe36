"""What a checkpoint archive holds besides CRIU's images, gathered while the container is frozen."""

from __future__ import annotations

import os
import posixpath
import shutil
import stat
import time

import msgspec

from cricket.kernel import mounts
from cricket.lifecycle import checkpoint_format as form
from cricket.lifecycle.checkpoint_format import ConfigDump, JsonDict, rfc3339
from cricket.lifecycle.checkpoint_rootfs import find_changes, pack_changes
from cricket.lifecycle.parts import Parts
from cricket.types.container import Container
from cricket.types.mount import Mount

_SHA256 = "sha256:"


def gather(e: Parts, container: Container, directory: str) -> None:
    """Write everything but CRIU's part into `directory`. Blocks. Raises ResourceExhausted, Internal."""
    spec = e.bundles.read(container.id)
    with form.disk_errors("the container's files cannot be copied", container.id):
        _write(directory, form.CONFIG_DUMP, msgspec.to_builtins(_config_dump(e, container)))
        _write(directory, form.SPEC_DUMP, _spec_dump(container, spec))
        _write(directory, form.BIND_MOUNTS, _bind_mounts(spec))
        _copy_log(container.log_path, os.path.join(directory, form.LOG))
        _rootfs(e, container, spec, directory)


def _write(directory: str, name: str, document: object) -> None:
    with open(os.path.join(directory, name), "wb") as file:
        file.write(msgspec.json.format(msgspec.json.encode(document), indent=2))


def _config_dump(e: Parts, container: Container) -> ConfigDump:
    image = e.images.find(container.image_id)
    names = (*image.tags, *image.digests) if image is not None else ()
    asked = container.config.user_image or container.config.image
    return ConfigDump(
        id=container.id,
        name=container.config.metadata.name,
        rootfs_image=asked,
        # CRI-O takes nothing but an id, without the algorithm.
        rootfs_image_ref=container.image_id.removeprefix(_SHA256),
        rootfs_image_name=names[0] if names else asked,
        runtime=container.handler,
        created_time=rfc3339(container.created_at),
        checkpointed_time=rfc3339(time.time_ns()),
        restored=bool(container.restore_from),
    )


def _spec_dump(container: Container, spec: JsonDict) -> JsonDict:
    """The spec, with what CRI-O looks for in the annotations when it restores."""
    extra = {
        "io.container.manager": "cricket",
        "io.kubernetes.cri-o.Annotations": _text(container.config.annotations),
        "io.kubernetes.cri-o.Labels": _text(container.config.labels),
        "io.kubernetes.cri-o.Metadata": _text(container.config.metadata),
    }
    return {**spec, "annotations": {**(spec.get("annotations") or {}), **extra}}


def _text(value: object) -> str:
    return msgspec.json.encode(value).decode()


def _bind_mounts(spec: JsonDict) -> list[JsonDict]:
    """Which sources of bind mounts are directories and which are files (CRI-O makes missing ones alike)."""
    found = []
    for mount in msgspec.convert(spec.get("mounts") or [], list[form.SpecMount]):
        if not mount.is_bind:
            continue
        try:
            mode = os.stat(mount.source).st_mode
        except OSError:
            continue  # deleted on the host; the container still has it
        kind = "directory" if stat.S_ISDIR(mode) else "file"
        found.append(
            {
                "source": mount.source,
                "destination": mount.destination,
                "file_type": kind,
                "permissions": stat.S_IMODE(mode) & 0o777,
            }
        )
    return found


def _copy_log(path: str, target: str) -> None:
    """Copy the log, when it is (still) there; the monitor may go on writing to it."""
    if not path:
        return
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return
    with open(fd, "rb") as source:
        if stat.S_ISREG(os.fstat(fd).st_mode):
            with open(target, "wb") as copy:
                shutil.copyfileobj(source, copy, 1 << 20)


def _rootfs(e: Parts, container: Container, spec: JsonDict, directory: str) -> None:
    """rootfs-diff.tar and deleted.files, each only when there is something to tell."""
    places = {m.place.lstrip("/") for m in msgspec.convert(spec.get("mounts") or [], list[form.SpecMount])}
    merged, lower = e.layout.rootfs(container.id), os.path.join(directory, "lower")
    os.mkdir(lower)
    try:
        mounts.perform(_image_mount(e, container.id), lower)
        changes = find_changes(e.snapshots.upper(container.id), merged, lower, places)
    finally:
        mounts.unmount(lower)
    if changes.present:
        with open(os.path.join(directory, form.ROOTFS_DIFF), "wb") as file:
            pack_changes(merged, changes.present, file)
    if changes.deleted:
        # posixpath: these are names in the container.
        _write(directory, form.DELETED_FILES, [posixpath.normpath(path) for path in changes.deleted])


def _image_mount(e: Parts, container_id: str) -> Mount:
    """The image as the container's snapshot has it below, read-only. The snapshot keeps the layers alive."""
    lowers = e.snapshots.lowers(e.snapshots.record(container_id).chain_id)
    if len(lowers) == 1:
        return Mount("bind", os.path.realpath(lowers[0]), ("bind", "ro"))
    return Mount("overlay", "overlay", ("ro",), lowers=tuple(lowers))
