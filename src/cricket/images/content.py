"""The content store: blobs named by their digest, verified on the way in, resumable, shared by processes.

    blobs/sha256/HEX     whole and verified; appears by rename
    ingest/HEX           partial download; flock'ed by the one process that writes it, kept for resuming

A blob is durable when it appears; a partial is never trusted, but digested as a whole at the end.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import io
import os
from collections.abc import Iterator
from types import TracebackType

from cricket.errors import Aborted, AlreadyExists, DataLoss, Internal, NotFound, ResourceExhausted, map_errors
from cricket.images.reference import parse_digest
from cricket.kernel.effects import effect
from cricket.kernel.files import remove_file, sync_dir

_CHUNK = 1 << 20


def digest_of(data: bytes) -> str:
    """The sha256 digest of `data`, as "sha256:HEX"."""
    return "sha256:" + hashlib.sha256(data).hexdigest()


class ContentStore:
    """Blobs below `root`. Any number of processes may use the same store; all methods block on file I/O.

    Methods that take a digest raise InvalidArgument when it is none.
    """

    def __init__(self, root: str) -> None:
        self.root = root
        self.blobs, self.ingest = os.path.join(root, "blobs"), os.path.join(root, "ingest")
        with map_errors(OSError, Internal, "cannot make the content store", where=root):
            # Images may hold secrets, whatever the modes of the files in them say.
            for directory in (self.blobs, self.ingest):
                os.makedirs(directory, mode=0o700, exist_ok=True)
            os.chmod(self.blobs, 0o700)
            os.makedirs(os.path.join(self.blobs, "sha256"), exist_ok=True)

    def path(self, digest: str) -> str:
        """Where the blob is, or would be."""
        algorithm, value = parse_digest(digest)
        return os.path.join(self.blobs, algorithm, value)

    def has(self, digest: str) -> bool:
        """Whether the blob is here, whole."""
        return os.path.exists(self.path(digest))

    def size(self, digest: str) -> int:
        """Size in bytes; NotFound."""
        with _blob_errors(digest):
            return os.stat(self.path(digest)).st_size

    def read(self, digest: str, limit: int = 8 << 20) -> bytes:
        """The whole blob, verified (DataLoss). NotFound; ResourceExhausted when it is longer than `limit` bytes."""
        with _blob_errors(digest), open(self.path(digest), "rb") as f:
            data = f.read(limit + 1)
        if len(data) > limit:
            raise ResourceExhausted(f"a blob is longer than the {limit} bytes allowed here", where=digest)
        if hashlib.new(parse_digest(digest)[0], data).hexdigest() != parse_digest(digest)[1]:
            raise DataLoss("a stored blob does not have its digest", where=digest, todo="Run: cricket images check")
        return data

    def verify(self, digest: str) -> bool:
        """Read the whole blob and say whether it has its digest; NotFound. In constant memory."""
        algorithm, value = parse_digest(digest)
        with _blob_errors(digest), open(self.path(digest), "rb") as f:
            return hashlib.file_digest(f, algorithm).hexdigest() == value

    def open_reader(self, digest: str) -> io.FileIO:
        """The blob as an unbuffered file, not verified (a layer's diff id verifies it). NotFound."""
        with _blob_errors(digest):
            return io.FileIO(self.path(digest), "rb")

    def writer(self, digest: str, size: int = -1, media_type: str = "") -> BlobWriter:
        """A writer that goes on where an interrupted one stopped (`offset`). `size` -1: not known.

        Raises AlreadyExists when the blob is here, Aborted while another process writes it, DataLoss when `size` is
        less than what was already received. `media_type` only makes messages clearer.
        """
        return BlobWriter(self, digest, size, media_type)

    def put(self, data: bytes, digest: str = "") -> str:
        """Store a small blob; returns its digest. Idempotent. DataLoss when it does not have the given `digest`."""
        digest = digest or digest_of(data)
        if not self.has(digest):
            with contextlib.suppress(AlreadyExists), self.writer(digest, len(data)) as w:
                w.restart()
                w.write(data)
                w.commit()
        return digest

    def delete(self, digest: str) -> None:
        """Delete a blob. Idempotent; open readers go on reading."""
        remove_file(self.path(digest))

    def list(self) -> list[str]:
        """The digests of all whole blobs, sorted."""
        found = []
        with map_errors(OSError, Internal, "cannot list the content store", where=self.blobs):
            for algorithm in os.listdir(self.blobs):
                for value in os.listdir(os.path.join(self.blobs, algorithm)):
                    found.append(f"{algorithm}:{value}")
        return sorted(found)


@contextlib.contextmanager
def _blob_errors(digest: str) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as e:
        raise NotFound("a blob is not in the store", where=digest) from e
    except OSError as e:
        raise Internal("cannot read a blob", where=digest) from e


@contextlib.contextmanager
def write_errors(where: str) -> Iterator[None]:
    """Map OSError: a full disk to ResourceExhausted, the rest to Internal."""
    try:
        yield
    except OSError as e:
        if e.errno in (errno.ENOSPC, errno.EDQUOT):
            raise ResourceExhausted("the disk of the image store is full", where=where) from e
        raise Internal("cannot write to the image store", where=where) from e


class BlobWriter:
    """Writes one blob. A context manager: leaving it without `commit()` keeps the partial for the next writer."""

    def __init__(self, store: ContentStore, digest: str, size: int, media_type: str = "") -> None:
        self.digest, self.size = digest, size
        self._store, self._what = store, media_type or "blob"
        self._algorithm, self._value = parse_digest(digest)
        self._partial = os.path.join(store.ingest, self._value)
        self._hasher = hashlib.new(self._algorithm)
        self.offset = 0
        self._fd = -1
        if store.has(digest):
            raise AlreadyExists("the blob is here already", where=digest)
        with write_errors(digest):
            self._fd = self._lock()
        try:
            with write_errors(digest):
                self._rehash()
        except BaseException:
            self.abort()
            raise

    def _lock(self) -> int:
        while True:
            fd = os.open(self._partial, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                # The file may have been committed or dropped between the open and the lock.
                if os.path.exists(self._partial) and os.path.samestat(os.fstat(fd), os.stat(self._partial)):
                    return fd
                if self._store.has(self.digest):
                    raise AlreadyExists("the blob is here already", where=self.digest)
            except BlockingIOError as e:
                os.close(fd)
                raise Aborted("another process is downloading this blob", where=self.digest) from e
            except BaseException:
                os.close(fd)
                raise
            os.close(fd)

    def _rehash(self) -> None:
        """Bring the digest to where the partial ends. It is not trusted: commit verifies all of it."""
        while data := os.read(self._fd, _CHUNK):
            self._hasher.update(data)
            self.offset += len(data)
        if 0 <= self.size < self.offset:
            self.restart()

    def restart(self) -> None:
        """Forget what was received (the server cannot resume, or the partial is of no use)."""
        with write_errors(self.digest):
            os.ftruncate(self._fd, 0)
            os.lseek(self._fd, 0, os.SEEK_SET)
        self._hasher = hashlib.new(self._algorithm)
        self.offset = 0

    def write(self, data: bytes | memoryview) -> None:
        """Append. DataLoss (and the partial is dropped) when more than `size` bytes come; ResourceExhausted."""
        if 0 <= self.size < self.offset + len(data):
            self._drop()
            raise DataLoss(f"a {self._what} is longer than the {self.size} bytes announced", where=self.digest)
        view = memoryview(data)
        with write_errors(self.digest):
            while view:
                written = os.write(self._fd, view)
                self._hasher.update(view[:written])
                self.offset += written
                view = view[written:]

    def commit(self) -> None:
        """Verify size and digest, make it durable, and show it under its name.

        DataLoss when it is short (the partial is kept: the next writer resumes) or has another digest (dropped).
        """
        if self.size >= 0 and self.offset < self.size:
            self.abort()
            raise DataLoss(f"a {self._what} ended after {self.offset} of {self.size} bytes", where=self.digest)
        if self._hasher.hexdigest() != self._value:
            self._drop()
            got = f"{self._algorithm}:{self._hasher.hexdigest()}"
            raise DataLoss(f"a {self._what} has the digest {got}", where=self.digest)
        target = self._store.path(self.digest)
        with write_errors(self.digest):
            os.fchmod(self._fd, 0o644)
            os.fsync(self._fd)
            os.makedirs(os.path.dirname(target), exist_ok=True)
            os.rename(self._partial, target)
            sync_dir(os.path.dirname(target))
        effect("blob committed")
        self.abort()

    def abort(self) -> None:
        """Let go; the partial stays for resuming. Idempotent, also after commit."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _drop(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._partial)
        self.abort()

    def __enter__(self) -> BlobWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.abort()
