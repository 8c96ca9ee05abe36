"""Garbage collection: what no image, snapshot or lease reaches is deleted.

Mark and sweep happen under the exclusive `gc.lock` (see leases.py). Every deletion is an unlink or a rename to the
trash, and each blob and layer stands for itself, so a crash at any moment leaves only more garbage for the next run.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterable

import msgspec

from cricket.errors import CricketError
from cricket.images.chain import chain_ids
from cricket.images.content import ContentStore, write_errors
from cricket.images.index import ImageIndex
from cricket.images.leases import gc_lock, leased
from cricket.images.remote.manifest import Index, parse_manifest
from cricket.images.snapshots import Snapshots
from cricket.types.image import Image

_MANIFEST_MAX = 8 << 20


class Collected(msgspec.Struct, frozen=True):
    """What a run deleted; `freed_bytes` counts blobs and the recorded size of layers."""

    blobs: tuple[str, ...] = ()
    layers: tuple[str, ...] = ()
    freed_bytes: int = 0


class Collector:
    """Collects below one root. With `keep_blobs=False` compressed layers go as soon as they are unpacked."""

    def __init__(
        self, content: ContentStore, snapshots: Snapshots, index: ImageIndex, *, keep_blobs: bool = True
    ) -> None:
        self._content, self._snapshots, self._index = content, snapshots, index
        self._keep_blobs = keep_blobs
        self._root = content.root
        # Manifests never change: (what is needed of them always, their layers) by digest.
        self._children: dict[str, tuple[list[str], list[str]]] = {}

    def collect(self, *, min_age: float = 0.0, partial_age: float = 24 * 3600.0) -> Collected:
        """Delete what is not reachable, and partial downloads that nobody resumed for `partial_age` seconds.

        `min_age` (seconds) spares younger blobs and layers: an interrupted pull that is tried again finds them.
        Blocks: on a pull that is just adding to its lease, and while trees are deleted. Idempotent.
        """
        with gc_lock(self._root, exclusive=True):
            live = leased(self._root)
            blobs, layers = self._dead(live)
            if min_age:
                before = time.time() - min_age
                blobs = [d for d in blobs if _older(self._content.path(d), before)]
                layers = [c for c in layers if _older(self._snapshots.layers.path(c), before)]
            freed = sum(self._content.size(d) for d in blobs) + sum(self._size(c) for c in layers)
            for digest in blobs:
                self._content.delete(digest)
                self._children.pop(digest, None)
            for chain in layers:
                self._snapshots.layers.remove(chain, purge=False)
            self._sweep_partials(live, partial_age)
            self._sweep_staging()
            self._snapshots.layers.drop_dead_links()
        self._snapshots.empty_trash()
        return Collected(tuple(blobs), tuple(layers), freed)

    def unreachable(self) -> tuple[list[str], list[str]]:
        """Blobs and layers (chain ids) that `collect` would delete now."""
        with gc_lock(self._root, exclusive=True):
            return self._dead(leased(self._root))

    def _dead(self, live: set[str]) -> tuple[list[str], list[str]]:
        # Another process may have recorded an image; it held its lease until then, so this order misses nothing.
        self._index.reload()
        blobs, chains = self._live_blobs(live), self._live_layers(live)
        return (
            [d for d in self._content.list() if d not in blobs],
            [c for c in self._snapshots.layers.list_all() if c not in chains],
        )

    def _size(self, chain: str) -> int:
        with contextlib.suppress(CricketError):
            return self._snapshots.layers.record(chain).size_bytes
        return 0

    def _live_blobs(self, live: set[str]) -> set[str]:
        found = set(live)
        for image in self._index.list():
            found.add(image.id)
            self._reach(_manifests_of(image), found, self._keep_blobs or not self._snapshots.has(image.chain_id))
        return found

    def _reach(self, digests: Iterable[str], found: set[str], with_layers: bool) -> None:
        todo = list(digests)
        seen: set[str] = set()
        while todo:
            digest = todo.pop()
            if digest in seen or not self._content.has(digest):
                continue
            seen.add(digest)
            found.add(digest)
            needed, layers = self._read(digest)
            found.update(needed)
            if with_layers:
                found.update(layers)
            todo += needed

    def _read(self, digest: str) -> tuple[list[str], list[str]]:
        known = self._children.get(digest)
        if known is None:
            known = ([], [])
            with contextlib.suppress(CricketError):
                # What is no manifest (a config, reached from one) or is damaged has no children.
                if self._content.size(digest) <= _MANIFEST_MAX:
                    document = parse_manifest(self._content.read(digest), "", digest)
                    if isinstance(document, Index):
                        known = ([m.digest for m in document.manifests], [])
                    else:
                        known = ([document.config.digest], [layer.digest for layer in document.layers])
            self._children[digest] = known
        return known

    def _live_layers(self, live: set[str]) -> set[str]:
        found = set(live)
        for image in self._index.list():
            found.update(chain_ids(image.diff_ids))
        for record in self._snapshots.list_active():
            chain = record.chain_id
            while chain:
                found.add(chain)
                try:
                    chain = self._snapshots.layers.record(chain).parent
                except CricketError:
                    break
        return found

    def _sweep_partials(self, live: set[str], age: float) -> None:
        names = {digest.partition(":")[2] for digest in live}
        with write_errors(self._content.ingest):
            for name in os.listdir(self._content.ingest):
                path = os.path.join(self._content.ingest, name)
                if name not in names and _unused(path, age):
                    os.unlink(path)

    def _sweep_staging(self) -> None:
        staging = self._snapshots.layers.staging
        with write_errors(staging):
            for name in os.listdir(staging):
                path = os.path.join(staging, name)
                if _unused(path):
                    self._snapshots.layers.discard(path, purge=False)


def _manifests_of(image: Image) -> list[str]:
    return [image.manifest_digest, *(name.partition("@")[2] for name in image.digests)]


def _older(path: str, moment: float) -> bool:
    try:
        return os.stat(path).st_mtime < moment
    except FileNotFoundError:
        return True


def _unused(path: str, age: float = 0.0) -> bool:
    """Whether no process has the file or directory locked, and nothing touched it for `age` seconds."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        if time.time() - os.fstat(fd).st_mtime < age:
            return False
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    except BlockingIOError:
        return False
    finally:
        os.close(fd)
