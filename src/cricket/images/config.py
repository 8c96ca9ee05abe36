"""The OCI image config, and the `Image` record made of a manifest and its config.

Source: OCI image-spec config.md.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from cricket.errors import DataLoss, InvalidArgument
from cricket.images.chain import chain_id
from cricket.images.content import digest_of
from cricket.images.reference import parse_digest
from cricket.images.remote.manifest import Manifest
from cricket.types.image import Image, ImageConfig


class _Run(msgspec.Struct, rename="pascal"):
    user: str | None = None
    env: list[str] | None = None
    entrypoint: list[str] | str | None = None
    cmd: list[str] | str | None = None
    volumes: dict[str, object] | None = None
    working_dir: str | None = None
    labels: dict[str, str] | None = None
    stop_signal: str | None = None
    exposed_ports: dict[str, object] | None = None


class _RootFs(msgspec.Struct):
    diff_ids: list[str] | None = None


class _Config(msgspec.Struct):
    architecture: str | None = None
    os: str | None = None
    created: str | None = None
    config: _Run | None = None
    rootfs: _RootFs | None = None


def image_config(data: bytes, *, where: str = "") -> ImageConfig:
    """What running needs of an image config document; DataLoss when it is malformed."""
    return _run_config(_decode(data, where))


def make_image(
    manifest: Manifest,
    manifest_data: bytes,
    config_data: bytes,
    *,
    tags: Iterable[str] = (),
    digests: Iterable[str] = (),
) -> Image:
    """The record of an image. `tags` and `digests` are full, normalised references.

    DataLoss when the documents are malformed or do not fit together.
    """
    where = manifest.config.digest
    config = _decode(config_data, where)
    diff_ids = tuple((config.rootfs.diff_ids if config.rootfs else None) or ())
    if len(diff_ids) != len(manifest.layers):
        raise DataLoss(f"an image has {len(manifest.layers)} layers but {len(diff_ids)} diff ids", where=where)
    for diff_id in diff_ids:
        try:
            parse_digest(diff_id)
        except InvalidArgument as e:
            raise DataLoss("an image config holds a malformed diff id", where=where) from e
    return Image(
        id=where,
        tags=tuple(dict.fromkeys(tags)),
        digests=tuple(dict.fromkeys(digests)),
        size=len(manifest_data) + len(config_data) + sum(layer.size for layer in manifest.layers),
        chain_id=chain_id(diff_ids),
        diff_ids=diff_ids,
        manifest_digest=digest_of(manifest_data),
        config=_run_config(config),
        architecture=config.architecture or "",
        os=config.os or "",
        created=config.created or "",
    )


def _decode(data: bytes, where: str) -> _Config:
    try:
        return msgspec.json.decode(data, type=_Config)
    except msgspec.DecodeError as e:
        raise DataLoss("an image config is malformed", where=where) from e


def _run_config(document: _Config) -> ImageConfig:
    run = document.config or _Run()
    return ImageConfig(
        user=run.user or "",
        env=tuple(run.env or ()),
        entrypoint=_words(run.entrypoint),
        cmd=_words(run.cmd),
        volumes=tuple(run.volumes or ()),
        working_dir=run.working_dir or "",
        labels=run.labels or {},
        stop_signal=run.stop_signal or "",
        exposed_ports=tuple(run.exposed_ports or ()),
    )


def _words(value: list[str] | str | None) -> tuple[str, ...]:
    # Some old builders wrote a single string, which Docker takes as one word.
    return (value,) if isinstance(value, str) else tuple(value or ())
