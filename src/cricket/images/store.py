"""The image store as the daemon sees it: images found, listed, added and removed, and what they take on disk.

    ROOT/images.db   index (index.py)           ROOT/blobs, ingest   content (content.py)
    ROOT/layers ...  layers (layer_store.py)    ROOT/active          snapshots (snapshots.py)
    ROOT/leases      running pulls (leases.py)

Compressed layers are kept beside the unpacked ones (as containerd does; CRI-O does not): `save`, checkpoints, repair
and recovery after a power loss need them. `keep_blobs=False` trades that for about a third of the space.
"""

from __future__ import annotations

import asyncio
import contextlib
import fnmatch
import logging
import os
import time
from collections.abc import Iterable, Sequence

import msgspec

from cricket.errors import CricketError, DataLoss, Internal, NotFound, map_errors
from cricket.images.content import ContentStore
from cricket.images.gc import Collected, Collector
from cricket.images.index import ImageIndex
from cricket.images.leases import Lease
from cricket.images.reference import Reference
from cricket.images.remote.manifest import Manifest, parse_manifest
from cricket.images.snapshots import Snapshots
from cricket.images.unpack import unpack_blobs
from cricket.types.image import FsUsage, Image

_log = logging.getLogger(__name__)


class _Annotated(msgspec.Struct, frozen=True):
    annotations: dict[str, str] | None = None


class ImageStore:
    """All of one root directory. `find` and `list` read memory; what may block on disk is async, or said to block.

    `pinned` are references (any spelling), or globs on whole ones, of images that the kubelet must not collect.
    Raises InvalidArgument for a malformed one, and what opening the index raises.
    """

    def __init__(self, root: str, *, pinned: Iterable[str] = (), keep_blobs: bool = True) -> None:
        with map_errors(OSError, Internal, "cannot make the image directory", where=root):
            os.makedirs(root, mode=0o711, exist_ok=True)
        self.root = os.path.realpath(root)
        self.content = ContentStore(self.root)
        self.snapshots = Snapshots(self.root)
        self.index = ImageIndex(os.path.join(self.root, "images.db"))
        self.pin(pinned)
        self._collector = Collector(self.content, self.snapshots, self.index, keep_blobs=keep_blobs)
        self._collecting = asyncio.Lock()

    def pin(self, names: Iterable[str]) -> None:
        """Pin these and no others. Raises InvalidArgument for a malformed reference; then nothing has changed."""
        globs, references = [], set()
        for name in names:
            if set(name) & set("*?["):
                globs.append(name)
            else:
                references.add(str(Reference.parse(name)))
        self._pinned, self._pinned_globs = references, tuple(globs)

    def find(self, name: str) -> Image | None:
        """By id (or unique prefix), tag or digest reference; None when missing."""
        image = self.index.find(name)
        return None if image is None else self._with_pin(image)

    def list(self) -> Sequence[Image]:
        """All images."""
        return [self._with_pin(image) for image in self.index.list()]

    def _with_pin(self, image: Image) -> Image:
        names = (*image.tags, *image.digests)
        pinned = not self._pinned.isdisjoint(names) or any(
            fnmatch.fnmatchcase(name, glob) for glob in self._pinned_globs for name in names
        )
        return image if pinned == image.pinned else msgspec.structs.replace(image, pinned=pinned)

    def lease(self, lease_id: str = "") -> Lease:
        """A new lease, or one to join. Blocks while a collection marks and sweeps: call it in a thread."""
        return Lease(self.root, lease_id)

    async def put(self, image: Image) -> Image:
        """Add an image whose blobs and layers are here; its tags move to it. Durable on return."""
        return await asyncio.to_thread(self.index.put, image)

    async def remove(self, name: str) -> None:
        """Drop the image with all of its tags, and delete what nothing else needs. Idempotent; missing is no error.

        Layers that containers still use stay until those are removed.
        """
        image = self.index.find(name)
        if image is not None:
            await asyncio.to_thread(self.index.remove, image.id)
            await self.collect()

    async def collect(self, *, min_age: float = 0.0) -> Collected:
        """Delete what no image, snapshot or lease needs, unless it is younger than `min_age` seconds."""
        async with self._collecting:
            collected = await asyncio.to_thread(self._collector.collect, min_age=min_age)
            self.index.replenish()
            return collected

    async def settle(self) -> None:
        """Make the layers of finished pulls durable (see layer_store.py). For after a pull; nobody waits for it."""
        await asyncio.to_thread(self.snapshots.sync)

    def manifest(self, image: Image) -> Manifest:
        """The stored manifest of an image; blocks on a small read. NotFound, DataLoss."""
        document = parse_manifest(self.content.read(image.manifest_digest), "", image.manifest_digest)
        if not isinstance(document, Manifest):
            raise DataLoss("the stored manifest of an image is an index", where=image.manifest_digest)
        return document

    def manifest_annotations(self, image: Image) -> dict[str, str]:
        """The annotations of an image's stored manifest; blocks on a small read. NotFound, DataLoss."""
        with map_errors(msgspec.DecodeError, DataLoss, "the stored manifest of an image is malformed", where=image.id):
            return msgspec.json.decode(self.content.read(image.manifest_digest), type=_Annotated).annotations or {}

    async def recover(self) -> Sequence[Image]:
        """At start: unpack what a power loss took, from the blobs; returns the images that are lost and now forgotten.

        A forgotten image is pulled again when a pod needs it; blobs that are here are not downloaded again.
        """
        return await asyncio.to_thread(self._recover)

    def _recover(self) -> Sequence[Image]:
        lost = []
        for image in self.index.list():
            if self.snapshots.has(image.chain_id) and self._whole(image):
                continue
            try:
                layers = [layer.digest for layer in self.manifest(image).layers]
                unpack_blobs(self.content, self.snapshots, layers, image.diff_ids)
            except CricketError as e:
                _log.warning("image %s lost its layers and is forgotten: %s", (*image.tags, image.id)[0], e)
                self.index.remove(image.id)
                lost.append(image)
        self.snapshots.empty_trash()
        return lost

    def _whole(self, image: Image) -> bool:
        try:
            self.snapshots.lowers(image.chain_id)
        except CricketError:
            return False
        return True

    async def fs_usage(self) -> Sequence[FsUsage]:
        """What images take: blobs and unpacked layers, without the containers' writable parts."""
        return [await asyncio.to_thread(self._fs_usage)]

    def _fs_usage(self) -> FsUsage:
        sizes, layers = [], []
        for digest in self.content.list():
            with contextlib.suppress(NotFound):  # a collection may run meanwhile
                sizes.append(self.content.size(digest))
        for chain in self.snapshots.layers.list():
            with contextlib.suppress(NotFound):
                layers.append(self.snapshots.layers.record(chain))
        return FsUsage(
            mountpoint=self.root,
            used_bytes=sum((size + 4095) & ~4095 for size in sizes) + sum(layer.size_bytes for layer in layers),
            inodes=len(sizes) + sum(layer.inodes + 3 for layer in layers),
            timestamp=time.time_ns(),
        )

    def close(self) -> None:
        """Close the index."""
        self.index.close()
