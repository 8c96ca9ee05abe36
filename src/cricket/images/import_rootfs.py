"""Making an image of a root file system: a directory or a tar becomes its only layer."""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import io
import os
import tempfile
from collections.abc import Iterator

import msgspec

from cricket.errors import AlreadyExists, Internal, NotFound, map_errors
from cricket.images.archive import chunks
from cricket.images.chain import chain_id
from cricket.images.config import make_image
from cricket.images.content import digest_of, write_errors
from cricket.images.layers.decompress import compression, decompressed
from cricket.images.load import OCI_CONFIG, layer_descriptor, oci_manifest
from cricket.images.pack import pack_directory
from cricket.images.reference import Reference
from cricket.images.remote.manifest import Descriptor, Manifest
from cricket.images.remote.platform import host_platform
from cricket.images.store import ImageStore
from cricket.images.unpack import unpack_blobs
from cricket.types.image import Image, ImageConfig


def import_rootfs(store: ImageStore, path: str, reference: str, config: ImageConfig | None = None) -> Image:
    """Make the image `reference` of a directory, or of a tar (compressed or not); blocks until it is recorded.

    A directory keeps owners, modes, times, xattrs and hard links; sockets are left out. The platform is this machine's.
    Raises InvalidArgument (reference), NotFound, DataLoss (no tar), ResourceExhausted, Internal.
    """
    name = Reference.parse(reference)
    if not os.path.exists(path):
        raise NotFound("there is no such file or directory", where=path)
    with _layer_file(path, store.content.ingest) as layer, store.lease() as lease:
        digest, size = _digest(layer)
        diff_id = "sha256:" + _digest_plain(layer)
        config_data = _config_document(config or ImageConfig(), diff_id)
        head = layer.read(6)
        layer.seek(0)
        item = Descriptor(digest_of(config_data), len(config_data), OCI_CONFIG)
        manifest = Manifest(item, [layer_descriptor(digest, size, compression(head))])
        data = oci_manifest(item, manifest.layers)
        lease.add([digest, item.digest, digest_of(data), chain_id([diff_id])])
        with contextlib.suppress(AlreadyExists), store.content.writer(digest, size) as writer:
            writer.restart()
            for piece in chunks(layer):
                writer.write(piece)
            writer.commit()
        store.content.put(config_data)
        store.content.put(data)
        unpack_blobs(store.content, store.snapshots, [digest], [diff_id])
        digests = [name.with_digest(digest_of(data))]
        tags = [name.tagged] if name.tagged else []
        return store.index.put(make_image(manifest, data, config_data, tags=tags, digests=digests))


@contextlib.contextmanager
def _layer_file(path: str, scratch: str) -> Iterator[io.BufferedIOBase]:
    with map_errors(OSError, Internal, "cannot read the root file system", where=path):
        if not os.path.isdir(path):
            with open(path, "rb") as file:
                yield file
            return
        with write_errors(scratch):
            packed = tempfile.TemporaryFile(dir=scratch)  # noqa: SIM115 - closed below
        with packed:
            pack_directory(path, packed)
            packed.seek(0)
            yield packed


def _digest(file: io.BufferedIOBase) -> tuple[str, int]:
    """Digest and size of a file as it is."""
    hasher, size = hashlib.sha256(), 0
    for data in chunks(file):
        hasher.update(data)
        size += len(data)
    file.seek(0)
    return "sha256:" + hasher.hexdigest(), size


def _digest_plain(file: io.BufferedIOBase) -> str:
    hasher = hashlib.sha256()
    for data in chunks(decompressed(file)):
        hasher.update(data)
    file.seek(0)
    return hasher.hexdigest()


def _config_document(config: ImageConfig, diff_id: str) -> bytes:
    """The image config (OCI image-spec config.md)."""
    run = {
        "User": config.user,
        "Env": list(config.env),
        "Entrypoint": list(config.entrypoint),
        "Cmd": list(config.cmd),
        "Volumes": {v: {} for v in config.volumes},
        "WorkingDir": config.working_dir,
        "Labels": config.labels,
        "StopSignal": config.stop_signal,
        "ExposedPorts": {p: {} for p in config.exposed_ports},
    }
    now = datetime.datetime.now(datetime.UTC).isoformat().replace("+00:00", "Z")
    platform = host_platform()
    return msgspec.json.encode(
        {
            "created": now,
            "architecture": platform.architecture,
            "os": platform.os,
            **({"variant": platform.variant} if platform.variant else {}),
            "config": {k: v for k, v in run.items() if v},
            "rootfs": {"type": "layers", "diff_ids": [diff_id]},
            "history": [{"created": now, "created_by": "cricket import"}],
        }
    )
