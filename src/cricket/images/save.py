"""Saving images to files: OCI layout directory, OCI archive, docker-archive."""

from __future__ import annotations

import io
import os
import shutil
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from cricket.errors import AlreadyExists, FailedPrecondition, InvalidArgument, NotFound
from cricket.images.archive import chunks
from cricket.images.content import digest_of, write_errors
from cricket.images.layers.decompress import Source, decompressed
from cricket.images.load import CONTAINERD_NAME, OCI_CONFIG, OCI_LAYER, REF_NAME, oci_manifest
from cricket.images.remote.manifest import OCI_INDEX, OCI_MANIFEST, Descriptor
from cricket.images.store import ImageStore
from cricket.types.image import Image

if TYPE_CHECKING:
    import tarfile

FORMATS = ("oci-dir", "oci-archive", "docker-archive")


def save(store: ImageStore, names: Iterable[str], path: str, format: str = "oci-archive") -> Sequence[Image]:
    """Write images to `path`, which appears whole or not at all; returns them. Blocks until done.

    Formats: "oci-dir", "oci-archive", "docker-archive" (for `docker load`). An image is saved with the tags that are
    named, or with all of them when it is named by its id. Raises NotFound, AlreadyExists when `path` is there,
    FailedPrecondition when blobs were not kept, DataLoss, ResourceExhausted.
    """
    if format not in FORMATS:
        raise InvalidArgument(f"unknown format {format!r}", todo=f"Known: {', '.join(FORMATS)}")
    chosen = _choose(store, names)
    if os.path.lexists(path):
        raise AlreadyExists("the target is there already", where=path)
    temp = f"{path}.tmp{os.getpid()}"
    try:
        with write_errors(path):
            sink: _Directory | _Tar = _Directory(temp) if format == "oci-dir" else _Tar(temp)
            try:
                (_save_docker if format == "docker-archive" else _save_oci)(store, chosen, sink)
            finally:
                sink.close()
            os.rename(temp, path)
    except BaseException:
        shutil.rmtree(temp) if os.path.isdir(temp) else _unlink(temp)
        raise
    return [image for image, _ in chosen]


def _choose(store: ImageStore, names: Iterable[str]) -> list[tuple[Image, list[str]]]:
    """Each image once, with its tags that were asked for."""
    found: dict[str, tuple[Image, list[str]]] = {}
    for name in names:
        image = store.find(name)
        if image is None:
            raise NotFound("there is no such image", where=name)
        _, tags = found.setdefault(image.id, (image, []))
        tagged = store.index.find_tag(name)
        tags += [t for t in ([tagged] if tagged else image.tags) if t not in tags]
    if not found:
        raise InvalidArgument("no image is named")
    return list(found.values())


class _Sink(Protocol):
    def has(self, name: str) -> bool: ...

    def add(self, name: str, source: Source, size: int) -> None: ...

    def close(self) -> None: ...


class _Directory:
    def __init__(self, path: str) -> None:
        self._path = path
        os.makedirs(path)

    def has(self, name: str) -> bool:
        return os.path.exists(os.path.join(self._path, name))

    def add(self, name: str, source: Source, size: int) -> None:
        path = os.path.join(self._path, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "xb") as f:
            for data in chunks(source):
                f.write(data)

    def close(self) -> None:
        pass


class _Tar:
    def __init__(self, path: str) -> None:
        import tarfile

        self._tar: tarfile.TarFile = tarfile.open(path, "x", format=tarfile.PAX_FORMAT)  # noqa: SIM115 - see close
        self._info = tarfile.TarInfo
        self._names: set[str] = set()

    def has(self, name: str) -> bool:
        return name in self._names

    def add(self, name: str, source: Source, size: int) -> None:
        info = self._info(name)
        info.size, info.mode = size, 0o644
        self._names.add(name)
        self._tar.addfile(info, _whole_reads(source))

    def close(self) -> None:
        self._tar.close()


class _Raw(io.RawIOBase):
    """A source as a raw file, so that BufferedReader makes whole reads out of short ones."""

    def __init__(self, source: Source) -> None:
        self._source = source

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._source.read(len(buffer)) or b""
        buffer[: len(data)] = data
        return len(data)


def _whole_reads(source: Source) -> io.BufferedIOBase:
    raw: Any = _Raw(source)
    return io.BufferedReader(raw, 1 << 20)


def _save_oci(store: ImageStore, chosen: list[tuple[Image, list[str]]], sink: _Sink) -> None:
    manifests = []
    for image, tags in chosen:
        data = _as_oci(store, image)
        item = {"mediaType": OCI_MANIFEST, "digest": digest_of(data), "size": len(data)}
        if image.architecture:
            item["platform"] = {"architecture": image.architecture, "os": image.os or "linux"}
        if not sink.has(_blob(digest_of(data))):
            sink.add(_blob(digest_of(data)), io.BytesIO(data), len(data))
        for digest in (image.id, *(layer.digest for layer in store.manifest(image).layers)):
            if not sink.has(_blob(digest)):
                with _open(store, digest) as blob:
                    sink.add(_blob(digest), blob, store.content.size(digest))
        named = [{**item, "annotations": {REF_NAME: tag, CONTAINERD_NAME: tag}} for tag in tags]
        manifests += named or [item]
    index = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": manifests}
    for name, document in (("index.json", index), ("oci-layout", {"imageLayoutVersion": "1.0.0"})):
        data = msgspec.json.encode(document)
        sink.add(name, io.BytesIO(data), len(data))


def _as_oci(store: ImageStore, image: Image) -> bytes:
    """The manifest, as OCI types: layouts with Docker's are not read everywhere. An OCI manifest stays as it is."""
    data = store.content.read(image.manifest_digest)
    manifest = store.manifest(image)
    if all(d.media_type.startswith("application/vnd.oci.") for d in (manifest.config, *manifest.layers)):
        return data
    config = msgspec.structs.replace(manifest.config, media_type=OCI_CONFIG)
    return oci_manifest(config, [_oci_layer(layer) for layer in manifest.layers])


def _oci_layer(layer: Descriptor) -> Descriptor:
    kind = layer.media_type
    if kind.startswith("application/vnd.oci."):
        return layer
    suffix = "+gzip" if kind.endswith("gzip") else "+zstd" if kind.endswith("zstd") else ""
    return msgspec.structs.replace(layer, media_type=OCI_LAYER + suffix)


def _save_docker(store: ImageStore, chosen: list[tuple[Image, list[str]]], sink: _Sink) -> None:
    entries = []
    for image, tags in chosen:
        config = f"{image.id.partition(':')[2]}.json"
        if not sink.has(config):
            with _open(store, image.id) as blob:
                sink.add(config, blob, store.content.size(image.id))
        layers = []
        for layer, diff_id in zip(store.manifest(image).layers, image.diff_ids, strict=True):
            name = f"{diff_id.partition(':')[2]}.tar"
            layers.append(name)
            if not sink.has(name):
                # A tar header holds the size, so the layer is decompressed twice rather than kept.
                with _open(store, layer.digest) as blob:
                    size = sum(map(len, chunks(decompressed(blob))))
                with _open(store, layer.digest) as blob:
                    sink.add(name, decompressed(blob), size)
        entries.append({"Config": config, "RepoTags": tags, "Layers": layers})
    data = msgspec.json.encode(entries)
    sink.add("manifest.json", io.BytesIO(data), len(data))


def _open(store: ImageStore, digest: str) -> io.FileIO:
    try:
        return store.content.open_reader(digest)
    except NotFound as e:
        raise FailedPrecondition(
            "a blob of the image was not kept", where=digest, todo="Pull it again with keep_blobs"
        ) from e


def _blob(digest: str) -> str:
    return "blobs/" + digest.replace(":", "/", 1)


def _unlink(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass
