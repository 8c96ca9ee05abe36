"""Checking an image store, and repairing it.

Every blob is digested, every image's documents and layers are looked for, layers are counted against their records,
snapshots against their layers. Repair deletes what is damaged, unpacks layers again from intact blobs, forgets images
that cannot be made whole (their next pull fetches just what is missing), and collects garbage.
"""

from __future__ import annotations

import os

import msgspec

from cricket.errors import CricketError, DataLoss, NotFound
from cricket.images.chain import chain_ids
from cricket.images.content import ContentStore, write_errors
from cricket.images.gc import Collector
from cricket.images.index import ImageIndex
from cricket.images.leases import Lease
from cricket.images.remote.manifest import Manifest, parse_manifest
from cricket.images.snapshots import Snapshots
from cricket.images.unpack import unpack_blobs
from cricket.images.usage import disk_usage
from cricket.types.image import Image


class Finding(msgspec.Struct, frozen=True, omit_defaults=True):
    """Something that is not as it should be.

    `kind`: "index", "blob", "image", "layer", "snapshot" or "orphan"; `subject` a digest, chain id, key or path;
    `outcome` says what repair did, "" when nothing was (to be) done.
    """

    kind: str
    subject: str
    problem: str
    outcome: str = ""

    @property
    def harmless(self) -> bool:
        """An orphan only takes space."""
        return self.kind == "orphan"


def check(root: str, repair: bool = False) -> list[Finding]:
    """Check the store at `root`; an empty list is a clean bill. Reads every blob, so it takes a while; blocks.

    Without `repair` nothing is changed and the daemon may run. Repair also holds its own against a running daemon
    (leases and locks), but a daemon learns of forgotten images only at its next start.
    Raises NotFound when there is no store, and otherwise only what prevents checking at all.
    """
    if not os.path.isdir(os.path.join(root, "blobs")):
        raise NotFound("there is no image store", where=root)
    return _Check(root, repair).run()


class _Check:
    def __init__(self, root: str, repair: bool) -> None:
        self._root, self._repair = os.path.realpath(root), repair
        self._content, self._snapshots = ContentStore(self._root), Snapshots(self._root)
        self._found: list[Finding] = []
        self._bad_blobs: set[str] = set()

    def run(self) -> list[Finding]:
        index = self._open_index()
        if index is None:
            return self._found
        try:
            with Lease(self._root) as lease:
                # Nothing may be collected while it is being repaired.
                lease.add([*self._content.list(), *self._snapshots.layers.list_all()])
                self._blobs()
                self._layers()
                for image in index.list():
                    self._image(index, image)
                self._active()
            self._orphans(index)
        finally:
            index.close()
        return self._found

    def _tell(self, kind: str, subject: str, problem: str, outcome: str = "") -> None:
        self._found.append(Finding(kind, subject, problem, outcome if self._repair else ""))

    def _open_index(self) -> ImageIndex | None:
        path = os.path.join(self._root, "images.db")
        try:
            return ImageIndex(path)
        except DataLoss as e:
            if not self._repair:
                self._tell("index", path, str(e))
                return None
            for suffix in ("", "-wal", "-shm"):
                if os.path.exists(path + suffix):
                    with write_errors(path):
                        os.rename(path + suffix, f"{path}.damaged{suffix}")
            self._tell("index", path, str(e), "set aside; images must be pulled again")
            return ImageIndex(path)

    def _blobs(self) -> None:
        for digest in self._content.list():
            try:
                if self._content.verify(digest):
                    continue
                problem = "the blob does not have its digest"
            except CricketError as e:
                problem = str(e)
            self._bad_blobs.add(digest)
            if self._repair:
                self._content.delete(digest)
            self._tell("blob", digest, problem, "deleted; the next pull fetches it again")

    def _layers(self) -> None:
        """Damaged layers go, unless something may have them mounted."""
        store = self._snapshots.layers
        for chain in store.list_all():
            problem = self._layer_problem(chain)
            if not problem:
                continue
            users = [r.key for r in self._snapshots.list_active() if self._uses(r.chain_id, chain)]
            if users:
                self._tell("layer", chain, problem, f"left alone: in use by {', '.join(users)}")
                continue
            if self._repair:
                store.remove(chain)
            self._tell("layer", chain, problem, "deleted")

    def _layer_problem(self, chain: str) -> str:
        store = self._snapshots.layers
        if not store.has(chain):
            return "the layer has no usable record, or was not written out before the machine went down"
        record = store.record(chain)
        if record.parent and not store.has(record.parent):
            return f"the layer below it is missing: {record.parent}"
        try:
            there = disk_usage(os.path.join(store.path(chain), "fs")).inodes - 1
        except CricketError as e:
            return str(e)
        return "" if there == record.inodes else f"the layer has {there} files instead of {record.inodes}"

    def _uses(self, top: str, chain: str) -> bool:
        try:
            return any(record.chain_id == chain for record in self._snapshots.layers.stack(top))
        except CricketError:
            return top == chain

    def _image(self, index: ImageIndex, image: Image) -> None:
        name = (*image.tags, image.id)[0]
        try:
            manifest = parse_manifest(self._content.read(image.manifest_digest), "", image.manifest_digest)
            if not isinstance(manifest, Manifest):
                raise DataLoss("the manifest is an index")
            self._content.read(image.id)
        except CricketError as e:
            self._forget(index, image, name, f"its manifest or config is missing: {e}")
            return
        layers = [layer.digest for layer in manifest.layers]
        unpacked = all(self._snapshots.has(c) for c in chain_ids(image.diff_ids))
        for layer in manifest.layers:
            problem = self._layer_blob(layer.digest, layer.size)
            if problem and unpacked and layer.digest in self._bad_blobs:
                self._tell(
                    "image", name, f"{problem}: {layer.digest}", "it runs, but cannot be saved until pulled anew"
                )
        if unpacked:
            return
        problem = "not all of its layers are unpacked"
        if not self._repair:
            self._tell("image", name, problem)
            return
        try:
            unpack_blobs(self._content, self._snapshots, layers, image.diff_ids)
            self._tell("image", name, problem, "unpacked again")
        except CricketError as e:
            self._forget(index, image, name, f"{problem}, nor can they be: {e}")

    def _layer_blob(self, digest: str, size: int) -> str:
        if digest in self._bad_blobs:
            return "a compressed layer is damaged"
        if self._content.has(digest) and self._content.size(digest) != size:
            return "a compressed layer has another size than the manifest says"
        return ""

    def _forget(self, index: ImageIndex, image: Image, name: str, problem: str) -> None:
        if self._repair:
            index.remove(image.id)
        self._tell("image", name, problem, "forgotten; pull it again")

    def _active(self) -> None:
        for key in sorted(os.listdir(self._snapshots.active)):
            try:
                self._snapshots.mounts(key)
            except CricketError as e:
                # Its container must be removed, which also removes this.
                self._tell("snapshot", key, str(e), "left alone: remove its container")

    def _orphans(self, index: ImageIndex) -> None:
        collector = Collector(self._content, self._snapshots, index)
        blobs, layers = collector.unreachable()
        if self._repair:
            collector.collect()
        for digest in blobs:
            self._tell("orphan", digest, "no image needs this blob", "deleted")
        for chain in layers:
            self._tell("orphan", chain, "no image and no container needs this layer", "deleted")
