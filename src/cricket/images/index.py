"""The index of images: durable in SQLite, answered from memory.

One table: id (config digest) and the `Image` as JSON. One process writes (the daemon, or a command while it is down);
another that has it open sees changes after `reload()`.
"""

from __future__ import annotations

import contextlib
import os
import re
import sqlite3
import threading
from collections.abc import Iterable, Iterator

import msgspec

from cricket.errors import DataLoss, FailedPrecondition, Internal, InvalidArgument, ResourceExhausted, map_errors
from cricket.images.reference import Reference
from cricket.kernel.effects import effect
from cricket.kernel.reserve import Reserve
from cricket.types.image import Image

_SCHEMA = 1
_HEX = re.compile(r"(?:sha256:)?([a-f0-9]{3,64})")


class ImageIndex:
    """Images by id, tag and digest. Reads never wait; `put` and `remove` block for a commit to disk.

    Raises DataLoss when the file is damaged, FailedPrecondition when a newer version wrote it, ResourceExhausted when
    the disk is full, Internal.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._by_id: dict[str, Image] = {}
        self._names: dict[str, str] = {}
        self._reserve = Reserve(f"{path}.reserve")
        try:
            self._connect()
        except ResourceExhausted:
            if not self._reserve.spend():
                raise
            self._connect()
        self.replenish()

    def _connect(self) -> None:
        with self._errors(), map_errors(OSError, Internal, "cannot make the image index", where=self._path):
            # A record holds the environment of an image; sqlite gives its own files the same mode.
            os.close(os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
            os.chmod(self._path, 0o600)
            self._db = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False, timeout=10)
            try:
                self._open()
            except BaseException:
                self._db.close()
                raise
        self.reload()

    def replenish(self) -> None:
        """Set disk space aside again, when there is any: with it `remove` works on a full disk."""
        self._reserve.keep()

    def _open(self) -> None:
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=FULL")
        version = self._db.execute("PRAGMA user_version").fetchone()[0]
        if version > _SCHEMA:
            raise FailedPrecondition(
                f"the image index has schema {version}, this version knows {_SCHEMA}", where=self._path
            )
        self._db.execute("CREATE TABLE IF NOT EXISTS images (id TEXT PRIMARY KEY, record TEXT NOT NULL) WITHOUT ROWID")
        if version != _SCHEMA:
            self._db.execute(f"PRAGMA user_version={_SCHEMA}")

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as e:
            code = getattr(e, "sqlite_errorname", "")
            if code.startswith("SQLITE_FULL"):
                raise ResourceExhausted("the disk of the image index is full", where=self._path) from e
            if code.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
                raise DataLoss("the image index is damaged", where=self._path) from e
            raise Internal("the image index failed", where=self._path) from e
        except msgspec.DecodeError as e:
            raise DataLoss("a record of the image index is damaged", where=self._path) from e

    def reload(self) -> None:
        """Read everything anew."""
        with self._lock, self._errors():
            rows = self._db.execute("SELECT record FROM images").fetchall()
            self._show(msgspec.json.decode(record, type=Image) for (record,) in rows)

    def _show(self, images: Iterable[Image]) -> None:
        """Replace what readers see, in one step each, so that they need no lock."""
        by_id = {image.id: image for image in sorted(images, key=lambda i: i.id)}
        names = {name: image.id for image in by_id.values() for name in (*image.tags, *image.digests)}
        self._by_id, self._names = by_id, names

    def put(self, image: Image) -> Image:
        """Add an image, or add tags and digests to it; names that another image had move here. Returns the record.

        The other image keeps its id and what else it has. Idempotent; durable on return.
        """
        with self._lock:
            old = self._by_id.get(image.id)
            if old is not None:
                image = msgspec.structs.replace(
                    image,
                    tags=tuple(dict.fromkeys((*image.tags, *old.tags))),
                    digests=tuple(dict.fromkeys((*image.digests, *old.digests))),
                )
            changed = [image]
            taken = frozenset(image.tags) | frozenset(image.digests)
            for other in self._by_id.values():
                if other.id != image.id and not taken.isdisjoint((*other.tags, *other.digests)):
                    changed.append(_without(other, taken))
            self._write(changed)
            return image

    def untag(self, name: str) -> None:
        """Take one tag or digest reference away from its image, which stays. Idempotent."""
        with self._lock:
            image = self._by_id.get(self._names.get(name, ""))
            if image is not None:
                self._write([_without(image, frozenset((name,)))])

    def _write(self, changed: list[Image], removed: str = "") -> None:
        with self._errors():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                for image in changed:
                    row = (image.id, msgspec.json.encode(image).decode())
                    self._db.execute("INSERT OR REPLACE INTO images VALUES (?, ?)", row)
                if removed:
                    self._db.execute("DELETE FROM images WHERE id = ?", (removed,))
                self._db.execute("COMMIT")
            except BaseException:
                # On a full disk SQLite has rolled back by itself.
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise
        effect("image index written")
        images = self._by_id | {image.id: image for image in changed}
        images.pop(removed, None)
        self._show(images.values())

    def find(self, name: str) -> Image | None:
        """By id, with or without "sha256:"; by tag or digest reference in any spelling; by unique prefix of the id.

        None when nothing matches, or when a prefix matches several.
        """
        names, by_id = self._names, self._by_id
        found = by_id.get(name) or by_id.get(f"sha256:{name}") or by_id.get(names.get(name, ""))
        if found is not None:
            return found
        with contextlib.suppress(InvalidArgument):
            reference = Reference.parse(name)
            for spelling in (str(reference), reference.digest and reference.with_digest(reference.digest)):
                if spelling in names:
                    return by_id.get(names[spelling])
        match = _HEX.fullmatch(name)
        if match is None:
            return None
        prefix = "sha256:" + match.group(1)
        matches = [image for image_id, image in by_id.items() if image_id.startswith(prefix)]
        return matches[0] if len(matches) == 1 else None

    def find_tag(self, name: str) -> str:
        """The tag, in its one spelling, that `name` stands for; "" when it is an id, a digest, or no tag here."""
        with contextlib.suppress(InvalidArgument):
            tag = Reference.parse(name).tagged
            image = self._by_id.get(self._names.get(tag, ""))
            if image is not None and tag in image.tags:
                return tag
        return ""

    def list(self) -> list[Image]:
        """All images, by id."""
        return list(self._by_id.values())

    def remove(self, image_id: str) -> None:
        """Forget an image with all of its names. Idempotent; durable on return. On a full disk it uses the reserve."""
        with self._lock:
            if image_id not in self._by_id:
                return
            try:
                self._write([], image_id)
            except ResourceExhausted:
                if not self._reserve.spend():
                    raise
                self._write([], image_id)

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()


def _without(image: Image, names: frozenset[str]) -> Image:
    return msgspec.structs.replace(
        image,
        tags=tuple(t for t in image.tags if t not in names),
        digests=tuple(d for d in image.digests if d not in names),
    )
