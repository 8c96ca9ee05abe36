"""Committed layers: unpacked directories that never change, named by their chain id.

    layers/HEX/fs           the files, as overlayfs wants them
    layers/HEX/layer.json   LayerRecord: parent, diff id, usage
    layers/HEX/durable      made once a syncfs has written all of it out
    l/SHORT                 symlink to layers/HEX/fs: short names let many layers fit into one mount
    staging/HEX.UNIQUE      being unpacked; flock'ed by its writer, so that a dead one is told from a live one
    trash/UNIQUE            renamed away, being deleted

A layer appears by rename, whole or not at all. It is not synced at that moment, as that would make every pull wait for
the disk: `sync()` does it afterwards. Until then the layer counts only in the boot that made it; after a power loss it
is taken as missing and is unpacked again from its blob.
"""

from __future__ import annotations

import base64
import contextlib
import errno
import fcntl
import os
import uuid
from collections.abc import Sequence
from types import TracebackType

import msgspec

from cricket.errors import DataLoss, FailedPrecondition, Internal, NotFound, map_errors
from cricket.images.content import write_errors
from cricket.images.layers import ApplyResult
from cricket.images.layers.adopt import adopt_implied
from cricket.images.leases import gc_lock
from cricket.images.reference import parse_digest
from cricket.kernel import confined, libc
from cricket.kernel.effects import effect

_SHORT = 4


class LayerRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is kept beside a layer. `parent` is a chain id, "" at the bottom; `boot` the boot that unpacked it."""

    chain_id: str
    diff_id: str
    parent: str = ""
    size_bytes: int = 0
    inodes: int = 0
    opaque_root: bool = False
    boot: str = ""


class LayerStore:
    """Layers below `root`. Any number of processes may use the same store; all methods block on file I/O."""

    def __init__(self, root: str) -> None:
        if any(c in root for c in ":,\\"):
            raise FailedPrecondition("the image directory must have no ':', ',' or '\\' in its path", where=root)
        self.root = root
        self.layers = os.path.join(root, "layers")
        self._links = os.path.join(root, "l")
        self.staging, self.trash = os.path.join(root, "staging"), os.path.join(root, "trash")
        self.empty = os.path.join(root, "empty")
        with map_errors(OSError, Internal, "cannot make the layer store", where=root):
            for directory in (self.layers, self._links, self.staging, self.trash, self.empty):
                os.makedirs(directory, mode=0o755 if directory == self.empty else 0o711, exist_ok=True)
        self._boot = boot_id()
        self._known: dict[str, LayerRecord] = {}

    def path(self, chain_id: str) -> str:
        """Where the layer is, or would be."""
        return os.path.join(self.layers, parse_digest(chain_id)[1])

    def has(self, chain_id: str) -> bool:
        """Whether the layer is here, whole, and survived whatever happened since. "" (no layer) always is."""
        return not chain_id or self._load(chain_id) is not None

    def record(self, chain_id: str) -> LayerRecord:
        """What is known of a layer; NotFound."""
        record = self._load(chain_id)
        if record is None:
            raise NotFound("a layer is not unpacked here", where=chain_id)
        return record

    def _load(self, chain_id: str) -> LayerRecord | None:
        path = self.path(chain_id)
        record = self._known.get(chain_id)
        if record is not None and os.path.exists(path):
            return record
        self._known.pop(chain_id, None)
        try:
            with open(os.path.join(path, "layer.json"), "rb") as f:
                record = msgspec.json.decode(f.read(), type=LayerRecord)
        except FileNotFoundError:
            return None
        except msgspec.DecodeError:
            return None  # cut short by a power loss: as good as missing
        except OSError as e:
            raise Internal("cannot read a layer's record", where=chain_id) from e
        if record.boot != self._boot and not os.path.exists(os.path.join(path, "durable")):
            return None
        self._known[chain_id] = record
        return record

    def stack(self, chain_id: str) -> list[LayerRecord]:
        """The records of a layer and of all below it, top first; NotFound when one is missing."""
        records: list[LayerRecord] = []
        while chain_id:
            records.append(self.record(chain_id))
            chain_id = records[-1].parent
        return records

    def lowers(self, chain_id: str) -> list[str]:
        """The directories of a stack, top first, by their short names; at least one. NotFound."""
        paths = []
        for record in self.stack(chain_id):
            paths.append(self._link(record.chain_id))
            if record.opaque_root:
                break  # overlayfs does not look for the mark at the top
        return paths or [self.empty]

    def _link(self, chain_id: str) -> str:
        value = parse_digest(chain_id)[1]
        target = os.path.join("..", "layers", value, "fs")
        short = base64.b32encode(bytes.fromhex(value)).decode().lower()
        for length in range(_SHORT, len(short)):
            path = os.path.join(self._links, short[:length])
            with write_errors(path):
                try:
                    if os.readlink(path) == target:
                        return path
                except FileNotFoundError:
                    with contextlib.suppress(FileExistsError):
                        os.symlink(target, path)
                    if os.readlink(path) == target:
                        return path
        raise Internal("no short name is free for a layer", where=chain_id)

    def new(self, chain_id: str, parent: str, diff_id: str) -> NewLayer:
        """A directory to unpack a layer into. Several may be filled at once; each is committed after its parent."""
        return NewLayer(self, LayerRecord(chain_id, diff_id, parent, boot=self._boot))

    def remove(self, chain_id: str, *, purge: bool = True) -> None:
        """Remove a layer. Idempotent; the caller knows that nothing uses it. `purge` as in `discard`."""
        self._known.pop(chain_id, None)
        short = self._link_of(chain_id)
        if short:
            with contextlib.suppress(FileNotFoundError), write_errors(short):
                os.unlink(short)
        self.discard(self.path(chain_id), purge=purge)

    def _link_of(self, chain_id: str) -> str:
        return self._link(chain_id) if os.path.exists(self.path(chain_id)) else ""

    def discard(self, path: str, *, purge: bool = True) -> None:
        """Make a directory disappear at once, then delete it (`purge=False`: `empty_trash` will). Idempotent."""
        away = os.path.join(self.trash, uuid.uuid4().hex)
        with write_errors(path):
            try:
                os.rename(path, away)
            except FileNotFoundError:
                return
            effect("directory discarded")
            if purge:
                _purge(away)

    def empty_trash(self) -> None:
        """Delete what an interrupted removal left."""
        with write_errors(self.trash):
            for name in os.listdir(self.trash):
                _purge(os.path.join(self.trash, name))

    def list(self) -> list[str]:
        """The chain ids of all layers that are here whole, sorted."""
        return [chain for chain in self.list_all() if self.has(chain)]

    def list_all(self) -> Sequence[str]:
        """As `list`, with those that a power loss made worthless."""
        with map_errors(OSError, Internal, "cannot list the layers", where=self.layers):
            return [f"sha256:{name}" for name in sorted(os.listdir(self.layers))]

    def drop_dead_links(self) -> None:
        """Remove short names whose layer is gone."""
        with write_errors(self._links):
            for name in os.listdir(self._links):
                path = os.path.join(self._links, name)
                if not os.path.exists(path):
                    with contextlib.suppress(FileNotFoundError):
                        os.unlink(path)

    def sync(self) -> None:
        """Write all layers out and mark them durable. Blocks on the disk: for after a pull, in a thread. Idempotent."""
        todo = []
        for chain_id in self.list():
            mark = os.path.join(self.path(chain_id), "durable")
            if not os.path.exists(mark):
                todo.append(mark)
        if not todo:
            return
        with write_errors(self.root):
            fd = os.open(self.root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                libc.syncfs(fd)
            finally:
                os.close(fd)
            for mark in todo:
                with contextlib.suppress(FileNotFoundError):
                    os.close(os.open(mark, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644))


class NewLayer:
    """A layer that is being unpacked into `path`. A context manager: without `commit()` it is deleted."""

    def __init__(self, store: LayerStore, record: LayerRecord) -> None:
        self._store, self._record = store, record
        self._dir = os.path.join(store.staging, f"{parse_digest(record.chain_id)[1]}.{uuid.uuid4().hex[:12]}")
        self.path = os.path.join(self._dir, "fs")
        # The collector takes what is not locked: it must not see the directory before.
        with write_errors(self._dir), gc_lock(store.root, exclusive=False):
            os.mkdir(self._dir, 0o700)
            self._lock = os.open(self._dir, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            fcntl.flock(self._lock, fcntl.LOCK_EX)
            os.mkdir(self.path, 0o755)

    def commit(self, result: ApplyResult) -> None:
        """Show the layer under its chain id; one that is there already (another process was faster) stays.

        Raises FailedPrecondition without the parent, DataLoss when `result` is not of the diff id.
        """
        record = msgspec.structs.replace(
            self._record, size_bytes=result.size_bytes, inodes=result.inodes, opaque_root=result.opaque_root
        )
        if result.diff_id != record.diff_id:
            raise DataLoss(f"a layer unpacked to {result.diff_id}, not to what the image says", where=record.diff_id)
        if not self._store.has(record.parent):
            raise FailedPrecondition("a layer's parent must be committed first", where=record.parent)
        with write_errors(self._dir):
            if result.implied:
                adopt_implied(self.path, result.implied, self._store.lowers(record.parent))
            with open(os.path.join(self._dir, "layer.json"), "wb") as f:
                f.write(msgspec.json.encode(record))
            os.chmod(self._dir, 0o711)
            self._publish(record.chain_id)
        self._store.lowers(record.chain_id)  # makes the short name
        self.abort()

    def _publish(self, chain_id: str) -> None:
        target = self._store.path(chain_id)
        for _ in range(10):
            if self._store.has(chain_id):
                return
            try:
                os.rename(self._dir, target)
                effect("layer committed")
                return
            except OSError as e:
                if e.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                    raise
            if not self._store.has(chain_id):
                # Left by a boot that ended without a sync: not to be trusted.
                self._store.discard(target)
        raise Internal("cannot put a layer in its place", where=chain_id)

    def abort(self) -> None:
        """Delete what was not committed. Idempotent, also after commit."""
        if self._lock >= 0:
            try:
                self._store.discard(self._dir)
            finally:
                os.close(self._lock)
                self._lock = -1

    def __enter__(self) -> NewLayer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.abort()


def _purge(path: str) -> None:
    """Delete a tree that others may be deleting at the same time: a collection empties what a pull threw away."""
    while True:
        try:
            confined.remove_tree(path)
            return
        except FileNotFoundError:
            continue  # each round finds less


def boot_id() -> str:
    """The identity of this boot of the kernel."""
    with (
        map_errors(OSError, Internal, "cannot tell this boot from another"),
        open("/proc/sys/kernel/random/boot_id", encoding="ascii") as f,
    ):
        return f.read().strip()
