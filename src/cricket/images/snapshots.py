"""Snapshots: a container's root file system as a mount of committed layers, with a writable directory on top.

    active/KEY/snapshot.json   SnapshotRecord: which layers; keeps them from being collected
    active/KEY/fs, work        the writable part (not for views)

Snapshots are not synced: no container survives a power loss, and what uses them is made anew.
"""

from __future__ import annotations

import errno
import os
import re
import stat
import uuid

import msgspec

from cricket.errors import AlreadyExists, DataLoss, Internal, InvalidArgument, NotFound, map_errors
from cricket.images.chain import chain_id
from cricket.images.content import write_errors
from cricket.images.layer_store import LayerStore, NewLayer
from cricket.images.leases import gc_lock
from cricket.images.usage import disk_usage
from cricket.kernel import confined
from cricket.kernel.effects import effect
from cricket.types.image import FsUsage
from cricket.types.mount import Mount

__all__ = ["SnapshotRecord", "Snapshots", "chain_id"]

_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,200}")
_PARAMETERS = "/sys/module/overlay/parameters"


class SnapshotRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """An active snapshot (writable) or a view. `chain_id` "" means no layers; `owner` is of the top directory."""

    key: str
    chain_id: str
    writable: bool = True
    owner: tuple[int, int] | None = None


class Snapshots:
    """Overlayfs snapshots below `root`. Several processes may use the same root; methods block on (quick) file I/O.

    Keys are names of at most 200 characters (letters, digits, `_ . -`); InvalidArgument otherwise.
    """

    def __init__(self, root: str) -> None:
        self.layers = LayerStore(root)
        self.active = os.path.join(root, "active")
        with map_errors(OSError, Internal, "cannot make the snapshot store", where=root):
            os.makedirs(self.active, mode=0o711, exist_ok=True)
        # Settings that distributions change, at what containers expect; absent in kernels that cannot do them.
        self._options = tuple(f"{o}=off" for o in ("index", "metacopy") if os.path.exists(f"{_PARAMETERS}/{o}"))

    def has(self, chain_id: str) -> bool:
        """Whether the stack's top layer is unpacked here; "" always is."""
        return self.layers.has(chain_id)

    def lowers(self, chain_id: str) -> list[str]:
        """Directories of the stack, top first, by short names; NotFound when a layer is missing."""
        return self.layers.lowers(chain_id)

    def new_layer(self, chain_id: str, parent: str, diff_id: str) -> NewLayer:
        """A directory to unpack a layer into; see NewLayer."""
        return self.layers.new(chain_id, parent, diff_id)

    def remove_layer(self, chain_id: str) -> None:
        """Remove a committed layer. Idempotent; the caller knows that nothing uses it."""
        self.layers.remove(chain_id)

    def prepare(self, key: str, chain_id: str, *, writable: bool = True, owner: tuple[int, int] | None = None) -> Mount:
        """Make the snapshot `key` on top of a stack, and say how to mount it.

        The writable top directory looks as the image's own, or belongs to `owner` (uid, gid). Idempotent.
        Raises NotFound without the layers, AlreadyExists when the key is used for something else.
        """
        record = SnapshotRecord(key, chain_id, writable, owner)
        # From looking for the layers to being counted as their user, no collection may run.
        with gc_lock(self.layers.root, exclusive=False):
            lowers = self.lowers(chain_id)
            existing = self._record(key)
            if existing is None:
                existing = self._make(record, lowers[0])
        if (existing.chain_id, existing.writable) != (chain_id, writable):
            raise AlreadyExists("a snapshot of something else has this key", where=key)
        return self._mount(existing, lowers)

    def _make(self, record: SnapshotRecord, lower: str) -> SnapshotRecord:
        path = self._path(record.key)
        made = os.path.join(self.layers.staging, f"active.{uuid.uuid4().hex}")
        with write_errors(path):
            try:
                os.mkdir(made, 0o711)
                if record.writable:
                    _make_upper(made, lower, record.owner)
                with open(os.path.join(made, "snapshot.json"), "wb") as f:
                    f.write(msgspec.json.encode(record))
                for _ in range(10):
                    try:
                        os.rename(made, path)
                        effect("snapshot made")
                        return record
                    except OSError as e:
                        if e.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                            raise
                    # Another process was faster; or a power loss damaged what was there.
                    if (existing := self._record(record.key)) is not None:
                        return existing
                    self.layers.discard(path)
            finally:
                confined.remove_tree(made)
        raise Internal("cannot put a snapshot in its place", where=record.key)

    def view(self, key: str, chain_id: str) -> Mount:
        """A read-only snapshot (an image volume). Idempotent; errors as `prepare`."""
        return self.prepare(key, chain_id, writable=False)

    def mounts(self, key: str) -> Mount:
        """How to mount an existing snapshot; NotFound."""
        record = self.record(key)
        return self._mount(record, self.lowers(record.chain_id))

    def record(self, key: str) -> SnapshotRecord:
        """What is known of a snapshot; NotFound."""
        record = self._record(key)
        if record is None:
            raise NotFound("there is no such snapshot", where=key)
        return record

    def remove(self, key: str, *, purge: bool = True) -> None:
        """Remove a snapshot, which is not mounted any more. Idempotent.

        With `purge=False` it disappears at once and its files are deleted by the next `empty_trash()`.
        """
        self.layers.discard(self._path(key), purge=purge)

    def empty_trash(self) -> None:
        """Delete what removals left behind; blocks for as long as that takes."""
        self.layers.empty_trash()

    def sync(self) -> None:
        """Make committed layers durable (see layer_store); blocks on the disk."""
        self.layers.sync()

    def list_active(self) -> list[SnapshotRecord]:
        """All snapshots and views, by key."""
        with map_errors(OSError, Internal, "cannot list the snapshots", where=self.active):
            keys = sorted(os.listdir(self.active))
        return [r for key in keys if (r := self._record(key)) is not None]

    def usage(self, key: str) -> FsUsage:
        """What the writable part takes; blocks while it is walked. NotFound."""
        if not self.record(key).writable:
            return disk_usage(self.layers.empty)
        return disk_usage(os.path.join(self._path(key), "fs"))

    def upper(self, key: str) -> str:
        """The directory of the writable part."""
        return os.path.join(self._path(key), "fs")

    def _path(self, key: str) -> str:
        if not _KEY.fullmatch(key):
            raise InvalidArgument("this cannot name a snapshot", where=key[:250])
        return os.path.join(self.active, key)

    def _record(self, key: str) -> SnapshotRecord | None:
        path = os.path.join(self._path(key), "snapshot.json")
        try:
            with open(path, "rb") as f:
                return msgspec.json.decode(f.read(), type=SnapshotRecord)
        except FileNotFoundError:
            return None
        except msgspec.DecodeError:
            return None  # cut short by a power loss: nothing uses it any more, and nothing can
        except OSError as e:
            raise Internal("cannot read a snapshot's record", where=path) from e

    def _mount(self, record: SnapshotRecord, lowers: list[str]) -> Mount:
        if record.writable:
            path = self._path(record.key)
            upper, work = os.path.join(path, "fs"), os.path.join(path, "work")
            if not os.path.isdir(work):
                raise DataLoss("a snapshot is damaged: its work directory is gone", where=record.key)
            return Mount("overlay", "overlay", self._options, lowers=tuple(lowers), upper=upper, work=work)
        if len(lowers) == 1:
            return Mount("bind", os.path.realpath(lowers[0]), ("bind", "ro"))
        return Mount("overlay", "overlay", ("ro", *self._options), lowers=tuple(lowers))


def _make_upper(directory: str, lower: str, owner: tuple[int, int] | None) -> None:
    """The writable directories; the top of the merged tree looks as `fs` does."""
    info = os.stat(lower)
    fs, work = os.path.join(directory, "fs"), os.path.join(directory, "work")
    os.mkdir(fs)
    os.mkdir(work, 0o711)
    uid, gid = owner or (info.st_uid, info.st_gid)
    os.chown(fs, uid, gid)
    if owner:
        os.chown(work, uid, gid)
    os.chmod(fs, stat.S_IMODE(info.st_mode))
