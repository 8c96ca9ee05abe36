"""Manifests and indexes: parsing with suspicion.

A document must be one thing only: its Content-Type, its `mediaType` and its fields agree (CVE-2021-41190), so that
nobody else can read the same bytes as something different.
"""

from __future__ import annotations

import msgspec

from cricket.errors import CricketError, InvalidArgument, NotFound, Unimplemented
from cricket.images.reference import parse_digest
from cricket.images.remote.platform import Platform, rank, runnable

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
ACCEPT = f"{OCI_INDEX}, {DOCKER_LIST}, {OCI_MANIFEST}, {DOCKER_MANIFEST}"
_MANIFESTS, _INDEXES = (OCI_MANIFEST, DOCKER_MANIFEST), (OCI_INDEX, DOCKER_LIST)
_SCHEMA1 = "application/vnd.docker.distribution.manifest.v1"
_VAGUE = ("", "application/json", "application/octet-stream", "text/plain")
_LAYERS = (
    "application/vnd.oci.image.layer.v1.tar",
    "application/vnd.oci.image.layer.nondistributable.v1.tar",
    "application/vnd.docker.image.rootfs.diff.tar",
    "application/vnd.docker.image.rootfs.foreign.diff.tar",
)
_COMPRESSIONS = ("", "+gzip", "+zstd", ".gzip", ".zstd")
_ATTESTATION = "attestation-manifest"
_LAYERS_MAX = 1000


class RawPlatform(msgspec.Struct, frozen=True):
    """`platform` of a descriptor in an index."""

    os: str = ""
    architecture: str = ""
    variant: str = ""


class Descriptor(msgspec.Struct, frozen=True, rename={"media_type": "mediaType"}):
    """An OCI descriptor (image-spec descriptor.md). `size` in bytes."""

    digest: str
    size: int
    media_type: str = ""
    urls: list[str] | None = None
    annotations: dict[str, str] | None = None
    platform: RawPlatform | None = None

    @property
    def foreign(self) -> bool:
        """Whether the blob is meant to come from `urls` and not from the registry."""
        return bool(self.urls) and ("foreign" in self.media_type or "nondistributable" in self.media_type)


class Manifest(msgspec.Struct, frozen=True):
    """An image manifest: its config and its layers, bottom first."""

    config: Descriptor
    layers: list[Descriptor]


class Index(msgspec.Struct, frozen=True):
    """A list of manifests for several platforms."""

    manifests: list[Descriptor]


_NAMES = {"schema": "schemaVersion", "media_type": "mediaType", "fs_layers": "fsLayers"}


class _Document(msgspec.Struct, frozen=True, rename=_NAMES):
    schema: int = 0
    media_type: str = ""
    config: Descriptor | None = None
    layers: list[Descriptor] | None = None
    manifests: list[Descriptor] | None = None
    fs_layers: object = None  # only schema 1 has it


def parse_manifest(body: bytes, content_type: str, where: str) -> Manifest | Index:
    """What a verified body is. `content_type` as the registry or the descriptor above said it, "" when unknown.

    Raises Unimplemented for schema 1 and for things that are no images, InvalidArgument for what contradicts itself.
    """
    said = _said(content_type, where)
    try:
        document = msgspec.json.decode(body, type=_Document)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as e:
        raise InvalidArgument("the manifest is malformed", where=where) from e
    if document.schema == 1 or document.fs_layers is not None:
        raise _schema1(where)
    if document.schema != 2:
        raise InvalidArgument(f"the manifest has schemaVersion {document.schema}, not 2", where=where)
    kind = _kind(said, document.media_type, where)
    is_index = document.manifests is not None
    has_layers = document.layers is not None or document.config is not None
    if is_index and has_layers:
        raise InvalidArgument("the document is both an index and a manifest", where=where, todo="See CVE-2021-41190")
    if kind and is_index != (kind in _INDEXES):
        raise InvalidArgument(f"the document is not what its type {kind} says", where=where)
    if document.manifests is not None:
        return Index([_checked(item, where) for item in document.manifests])
    return _image(document, where)


def choose(index: Index, platform: Platform, where: str) -> Descriptor:
    """The manifest that runs best on `platform`; the first of equals.

    Attestations, and what is neither manifest nor index, are passed over. Raises NotFound, with what there is instead.
    """
    order = runnable(platform.normalized())
    best: tuple[int, Descriptor] | None = None
    for item in index.manifests:
        if item.media_type and item.media_type not in _MANIFESTS + _INDEXES:
            continue
        if (item.annotations or {}).get("vnd.docker.reference.type") == _ATTESTATION:
            continue
        # An entry without a platform fits anywhere, but anything that names ours is better.
        place = len(order) if item.platform is None or not item.platform.os else rank(_platform(item), order)
        if place is not None and (best is None or place < best[0]):
            best = (place, item)
    if best is None:
        have = ", ".join(sorted({str(_platform(item)) for item in index.manifests if item.platform})) or "none"
        raise NotFound(f"the image has no variant for {platform}", where=where, todo=f"It has: {have[:300]}")
    return best[1]


def _platform(item: Descriptor) -> Platform:
    raw = item.platform or RawPlatform()
    return Platform(raw.os, raw.architecture, raw.variant)


def _said(content_type: str, where: str) -> str:
    """The Content-Type without parameters, "" when it says nothing. What is no manifest (a log-in page) ends here."""
    said = content_type.partition(";")[0].strip().lower()
    if said.startswith(_SCHEMA1):
        raise _schema1(where)
    if said in _VAGUE:
        return ""
    if said not in _MANIFESTS + _INDEXES:
        raise Unimplemented(f"{said[:120]!r} is not a type of image manifest", where=where)
    return said


def _kind(said: str, inside: str, where: str) -> str:
    """The media type that header and body agree on; "" when neither says one."""
    inside = inside.strip().lower()
    known = _MANIFESTS + _INDEXES
    if inside and inside not in known:
        raise Unimplemented(f"{inside[:120]!r} is not a type of image manifest", where=where)
    if said and inside and inside != said:
        raise InvalidArgument(
            f"the manifest says that it is {inside}, but its Content-Type is {said}",
            where=where,
            todo="See CVE-2021-41190",
        )
    return said or inside


def _image(document: _Document, where: str) -> Manifest:
    if document.config is None or document.layers is None:
        raise InvalidArgument("the manifest has no config or no layers", where=where)
    if len(document.layers) > _LAYERS_MAX:
        raise InvalidArgument(f"the manifest has more than {_LAYERS_MAX} layers", where=where)
    for layer in document.layers:
        _check_layer(layer, where)
    return Manifest(_checked(document.config, where), [_checked(layer, where) for layer in document.layers])


def _check_layer(layer: Descriptor, where: str) -> None:
    kind = layer.media_type
    for base in _LAYERS:
        if kind.startswith(base) and kind[len(base) :] in _COMPRESSIONS:
            return
    if kind.endswith("+encrypted"):
        raise Unimplemented("the image is encrypted", where=where)
    raise Unimplemented(f"a layer of type {kind[:120]!r} cannot be unpacked", where=where, todo="Is it an image?")


def _checked(item: Descriptor, where: str) -> Descriptor:
    try:
        parse_digest(item.digest)
    except CricketError as e:
        raise InvalidArgument(f"the manifest is malformed: {e.what}", where=where) from None
    if item.size < 0:
        raise InvalidArgument("the manifest has a negative size", where=where)
    return item


def _schema1(where: str) -> Unimplemented:
    return Unimplemented(
        "the image has only a Docker schema 1 manifest, a format without verifiable content that is no longer read",
        where=where,
        todo="Push it again with a current tool (Docker 1.10 or later, skopeo, buildah)",
    )
