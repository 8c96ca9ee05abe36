"""Loading images from files: OCI layout (directory or archive) and docker-archive (`docker save`).

Sources: OCI image-spec image-layout.md and annotations.md; Docker image specification v1.2, "Combined Image JSON".
"""

from __future__ import annotations

import contextlib
import hashlib
import io
from collections.abc import Iterable, Sequence

import msgspec

from cricket.errors import AlreadyExists, DataLoss, InvalidArgument
from cricket.images.archive import Archive, chunks, open_archive, read
from cricket.images.chain import chain_ids
from cricket.images.config import make_image
from cricket.images.content import digest_of
from cricket.images.layers.decompress import compression
from cricket.images.leases import Lease
from cricket.images.reference import Reference
from cricket.images.remote.manifest import OCI_MANIFEST, Descriptor, Index, Manifest, choose, parse_manifest
from cricket.images.remote.platform import host_platform
from cricket.images.store import ImageStore
from cricket.images.unpack import unpack_blobs
from cricket.types.image import Image

REF_NAME, CONTAINERD_NAME = "org.opencontainers.image.ref.name", "io.containerd.image.name"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar"
_MANIFEST_MAX = 4 << 20
_NESTING_MAX = 3


def load(store: ImageStore, path: str, *, name: str = "") -> Sequence[Image]:
    """Load every image of an OCI layout, OCI archive or docker-archive; blocks until they are unpacked and recorded.

    Names come from the archive; where it has none (or only a tag, as OCI layouts may), `name` is used, and without it
    the image is found by its id only. From an index the manifest for this machine is taken. Idempotent.
    Raises NotFound (no such file; something is missing in it), DataLoss (damaged, or no image archive),
    InvalidArgument (malformed names), ResourceExhausted.
    """
    if name:
        name = str(Reference.parse(name))
    with open_archive(path, store.content.ingest) as archive, store.lease() as lease:
        loader = _Loader(store, archive, lease)
        if archive.has("index.json") and archive.has("oci-layout"):
            images = loader.oci(name)
        elif archive.has("manifest.json"):
            images = loader.docker(name)
        else:
            raise DataLoss(
                "this is no image archive", where=path, todo="Known: OCI layout, OCI archive, docker-archive"
            )
        return [store.index.put(image) for image in images]


class _SavedImage(msgspec.Struct, rename="pascal"):
    config: str
    layers: list[str]
    repo_tags: list[str] | None = None


class _Loader:
    def __init__(self, store: ImageStore, archive: Archive, lease: Lease) -> None:
        self._store, self._archive, self._lease = store, archive, lease
        self._content = store.content

    def oci(self, name: str) -> list[Image]:
        """Every manifest of index.json; those of one image under several names are joined by the index."""
        top = parse_manifest(read(self._archive, "index.json", _MANIFEST_MAX), "", "index.json")
        if not isinstance(top, Index):
            raise DataLoss("index.json is no index")
        images = []
        for item in top.manifests:
            manifest, data, digests = self._manifest(item)
            if manifest.config.media_type not in ("", OCI_CONFIG, "application/vnd.docker.container.image.v1+json"):
                continue  # an artifact beside the images
            self._blobs(manifest.config, *manifest.layers)
            names = [n] if (n := _name_of(item)) else [name] if name else []
            images.append(self._finish(manifest, data, names, digests))
        return images

    def _manifest(self, item: Descriptor) -> tuple[Manifest, bytes, list[str]]:
        """Go down to the manifest for this machine; all documents on the way are stored. Their digests, top first."""
        digests = []
        for _ in range(_NESTING_MAX):
            self._blobs(item)
            digests.append(item.digest)
            data = self._content.read(item.digest, _MANIFEST_MAX)
            document = parse_manifest(data, item.media_type, item.digest)
            if isinstance(document, Manifest):
                return document, data, digests
            item = choose(document, host_platform(), item.digest)
        raise DataLoss("indexes are nested too deep", where=item.digest)

    def _blobs(self, *items: Descriptor) -> None:
        self._lease.add(item.digest for item in items)
        for item in items:
            if not self._content.has(item.digest):
                with self._archive.open("blobs/" + item.digest.replace(":", "/", 1)) as source:
                    self._copy(source, item.digest, item.size)

    def _copy(self, source: io.BufferedIOBase, digest: str, size: int = -1) -> None:
        with contextlib.suppress(AlreadyExists), self._content.writer(digest, size) as writer:
            writer.restart()
            for data in chunks(source):
                writer.write(data)
            writer.commit()

    def docker(self, name: str) -> list[Image]:
        """Every entry of manifest.json, with an OCI manifest made for it."""
        try:
            entries = msgspec.json.decode(read(self._archive, "manifest.json", _MANIFEST_MAX), type=list[_SavedImage])
        except msgspec.DecodeError as e:
            raise DataLoss("manifest.json is malformed") from e
        images = []
        for entry in entries:
            config = read(self._archive, entry.config)
            self._lease.add([digest_of(config)])
            items = [Descriptor(digest_of(config), len(config), OCI_CONFIG), *map(self._layer, entry.layers)]
            data = oci_manifest(items[0], items[1:])
            self._lease.add([digest_of(data)])
            self._content.put(config)
            self._content.put(data)
            names = entry.repo_tags or ([name] if name else [])
            manifest = Manifest(items[0], items[1:])
            images.append(self._finish(manifest, data, names, [digest_of(data)]))
        return images

    def _layer(self, name: str) -> Descriptor:
        with self._archive.open(name) as source:
            hasher = hashlib.sha256()
            size = 0
            for data in chunks(source):
                hasher.update(data)
                size += len(data)
            digest = "sha256:" + hasher.hexdigest()
            source.seek(0)
            kind = compression(source.read(6))
            source.seek(0)
            self._lease.add([digest])
            self._copy(source, digest, size)
        return layer_descriptor(digest, size, kind)

    def _finish(self, manifest: Manifest, data: bytes, names: Iterable[str], digests: Iterable[str]) -> Image:
        references = [Reference.parse(name) for name in names]
        image = make_image(
            manifest,
            data,
            self._content.read(manifest.config.digest),
            tags=[r.tagged for r in references if r.tagged],
            digests=[r.with_digest(digest) for r in references for digest in digests],
        )
        self._lease.add(chain_ids(image.diff_ids))
        layers = [layer.digest for layer in manifest.layers]
        unpack_blobs(self._content, self._store.snapshots, layers, image.diff_ids)
        return image


def oci_manifest(config: Descriptor, layers: Iterable[Descriptor]) -> bytes:
    """The bytes of an OCI manifest; the same every time."""

    def item(d: Descriptor) -> dict[str, object]:
        return {"mediaType": d.media_type, "digest": d.digest, "size": d.size}

    return msgspec.json.encode(
        {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": item(config),
            "layers": [item(layer) for layer in layers],
        }
    )


def layer_descriptor(digest: str, size: int, kind: str) -> Descriptor:
    """The OCI descriptor of a layer with a compression that OCI has a type for; others are found out when unpacking."""
    return Descriptor(digest, size, f"{OCI_LAYER}+{kind}" if kind in ("gzip", "zstd") else OCI_LAYER)


def _name_of(item: Descriptor) -> str:
    """The full name in a descriptor's annotations; "" when there is none, or only a tag."""
    annotations = item.annotations or {}
    for key in (CONTAINERD_NAME, REF_NAME):
        name = annotations.get(key, "")
        if "/" in name or ":" in name:
            with contextlib.suppress(InvalidArgument):
                return str(Reference.parse(name))
    return ""
