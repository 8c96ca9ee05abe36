"""CreateContainer from a checkpoint: its image is the path of an archive, or an image that holds one.

    ROOT/checkpoints/ID     CRIU's images, until the container runs or is removed

The processes come from the checkpoint with all that they had: memory, user, capabilities, seccomp filters. The new
request gives the pod, mounts, limits, labels and annotations. So a checkpoint is trusted like a program run as root.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import uuid
from typing import NoReturn

import msgspec

from cricket.errors import FailedPrecondition, Internal, InvalidArgument, NotFound, Unimplemented
from cricket.kernel.effects import effect
from cricket.kernel.files import make_dir, remove_tree
from cricket.lifecycle import checkpoint_format as form
from cricket.lifecycle import container_checkpoint, criu
from cricket.lifecycle.checkpoint_format import ConfigDump, Documents, JsonDict, SpecMount
from cricket.lifecycle.checkpoint_read import KEPT_LOG, Archive, DirectoryArchive, TarArchive, read_documents, unpack
from cricket.lifecycle.checkpoint_rootfs import apply_changes
from cricket.lifecycle.container_rootfs import userns_of
from cricket.lifecycle.parts import Parts
from cricket.lifecycle.sandbox_files import hostname
from cricket.types.container import Container, ContainerConfig
from cricket.types.image import Image
from cricket.types.sandbox import Sandbox
from cricket.types.stage import stage

_MARKS = ("io.kubernetes.cri-o.annotations.checkpoint.name", "org.criu.checkpoint.container.name")
# What CRI-O mounts into each container, and nobody needs the content of.
_CRIO_MARKER = "/run/.containerenv"


class Restored(msgspec.Struct, frozen=True):
    """A recognised checkpoint; `config` is the request with the base image as its image."""

    config: ContainerConfig
    archive: Archive
    documents: Documents


async def recognise(e: Parts, config: ContainerConfig) -> Restored | None:
    """None unless the image is a checkpoint.

    Raises NotFound (no such archive; or the base image is not present), InvalidArgument, DataLoss, FailedPrecondition
    (images are not allowed to be checkpoints).
    """
    archive = _archive(e, config.image)
    if archive is None:
        return None
    documents = await asyncio.to_thread(read_documents, archive)
    base = _base_image(e, documents.config, archive.where)
    return Restored(msgspec.structs.replace(config, image=base.id), archive, documents)


def _archive(e: Parts, name: str) -> Archive | None:
    if name.startswith("/"):
        return TarArchive(name)
    image = e.images.find(name)
    if image is None or not image.chain_id:
        return None
    # Looking for the file first spares every ordinary container the reading of a manifest.
    for layer in e.snapshots.lowers(image.chain_id):
        if os.path.lexists(os.path.join(layer, form.CONFIG_DUMP)):
            marked = {*image.config.labels, *e.images.manifest_annotations(image)}
            if marked.isdisjoint(_MARKS):
                return None
            if not e.config.security.checkpoint_images:
                raise FailedPrecondition(
                    "the image holds a checkpoint, whose processes keep their old users and capabilities",
                    where=name,
                    todo="Set security.checkpoint_images to let images be restored on this node.",
                )
            return DirectoryArchive(layer, name)
    return None


def _base_image(e: Parts, config: ConfigDump, where: str) -> Image:
    """The image that the checkpointed container ran. Its id counts: another image of the same name has other files."""
    ref = config.rootfs_image_ref
    names = [ref, f"sha256:{ref}"] if ref else [config.rootfs_image_name]
    if "@sha256:" in config.rootfs_image_name:
        names.append(config.rootfs_image_name)
    for name in filter(None, names):
        image = e.images.find(name)
        if image is not None:
            return image
    label = config.rootfs_image_name or config.rootfs_image or ref or "which it does not name"
    raise NotFound(
        f"the image that the checkpointed container ran is not present: {label}, id {ref or 'unknown'}",
        where=where,
        todo="Pull it first.",
    )


async def prepare(e: Parts, box: Sandbox, container: Container, restored: Restored) -> Container:
    """Unpack CRIU's images and the changes of the root file system, before that is mounted.

    Raises Unimplemented (handler, user namespace), DataLoss, InvalidArgument, ResourceExhausted, Internal; then
    container_purge removes what is there.
    """
    container_checkpoint.require(e, container)
    if userns_of(box) is not None:
        raise Unimplemented(
            "containers cannot be restored in a pod with a user namespace", where=restored.archive.where
        )
    with stage("unpack checkpoint", container.id):
        await asyncio.to_thread(_unpack, e, container, restored)
    return msgspec.structs.replace(container, restore_from=restored.archive.where)


def _unpack(e: Parts, container: Container, restored: Restored) -> None:
    directory = e.layout.checkpoint(container.id)
    make_dir(os.path.dirname(directory), 0o700)
    remove_tree(directory)
    make_dir(directory, 0o700)
    effect("checkpoint directory made")
    found = unpack(restored.archive, directory)
    image = e.images.find(container.image_id)
    if image is None:
        raise NotFound("the image of the checkpoint was removed meanwhile", where=container.image_id)
    e.snapshots.prepare(container.id, image.chain_id)
    lowers = e.snapshots.lowers(image.chain_id)
    with contextlib.ExitStack() as stack:
        diff = stack.enter_context(open(found.diff, "rb", buffering=0)) if found.diff else None
        apply_changes(e.snapshots.upper(container.id), lowers, diff, found.deleted)
    if found.diff:
        os.unlink(found.diff)
    effect("checkpoint unpacked")


def finish(e: Parts, box: Sandbox, container: Container, restored: Restored) -> None:
    """Fit the written spec to the checkpoint, and begin the log with the old one. Blocks on small files.

    Raises InvalidArgument when the request's mounts are not those of the checkpoint, DataLoss, Internal.
    """
    directory, bundle = e.layout.checkpoint(container.id), e.layout.bundle(container.id)
    spec = e.bundles.read(container.id)
    if _check_mounts(spec, container, restored):
        spec["mounts"].append(_marker_mount(bundle))
    namespaces = (spec.get("linux") or {}).get("namespaces") or []
    uts = next((n.get("path", "") for n in namespaces if n["type"] == "uts"), "")
    if uts and not criu.set_hostname(directory, hostname(box)):
        uts = ""
    config = os.path.join(bundle, "criu.conf")
    criu.write_config(config, uts, cgroup_version=e.host.cgroup_version)
    spec["annotations"] = {**(spec.get("annotations") or {}), criu.CONFIG_ANNOTATION: config}
    e.bundles.write(container.id, spec)
    _continue_log(os.path.join(directory, KEPT_LOG), container.log_path)


def _check_mounts(spec: JsonDict, container: Container, restored: Restored) -> bool:
    """Compare mounts; whether CRI-O's marker file is needed.

    CRIU needs a source for each bind mount of the checkpoint, and what the checkpoint says is no good: it could name
    any place of the host. It makes no mount that the checkpoint lacks, so the request must not expect one.
    """
    old = restored.documents.spec.mounts or []
    given = {m.place for m in msgspec.convert(spec.get("mounts") or [], list[SpecMount]) if m.is_bind}
    missing = sorted({m.place for m in old if m.is_bind} - given)
    marker = _CRIO_MARKER in missing
    missing = [place for place in missing if place != _CRIO_MARKER]
    known = {m.place for m in old}
    wanted = {SpecMount(m.container_path).place for m in container.config.mounts}
    if missing:
        raise InvalidArgument(
            f"the checkpointed container had mounts that the request lacks: {', '.join(missing)}",
            where=restored.archive.where,
            todo="Give each a source in config.mounts.",
        )
    if extra := sorted(wanted - known):
        raise InvalidArgument(
            f"the checkpointed container had no mounts at {', '.join(extra)}, and a restore cannot add any",
            where=restored.archive.where,
        )
    return marker


def _marker_mount(bundle: str) -> JsonDict:
    source = os.path.join(bundle, "containerenv")
    with form.disk_errors("a file cannot be made", source), open(source, "wb"):
        pass
    return {"destination": _CRIO_MARKER, "type": "bind", "source": source, "options": ["bind", "rw"]}


def _continue_log(kept: str, path: str) -> None:
    """Put the old log in the place of the new, unless there is one already (of an earlier try)."""
    if not os.path.exists(kept):
        return
    if path and not os.path.lexists(path):
        make_dir(os.path.dirname(path))
        temporary = f"{path}.{uuid.uuid4().hex[:12]}"
        with form.disk_errors("the log cannot be written", path):
            try:
                with open(kept, "rb") as source, open(temporary, "xb") as target:
                    shutil.copyfileobj(source, target, 1 << 20)
                os.chmod(temporary, 0o640)
                os.rename(temporary, path)
            except BaseException:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(temporary)
                raise
    os.unlink(kept)


async def settle(e: Parts, container: Container) -> None:
    """The container runs: forget its checkpoint. Idempotent."""
    await asyncio.to_thread(remove_tree, e.layout.checkpoint(container.id))


async def explain(e: Parts, container: Container, error: Internal) -> NoReturn:
    """Raise the error of a failed restore with CRIU's words; conmon makes the bundle the runtime's work directory."""
    await criu.explain(error, os.path.join(e.layout.bundle(container.id), "restore.log"))
