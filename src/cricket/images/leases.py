"""Leases: what a pull needs is not collected while it works.

    gc.lock        shared: to add to a lease; exclusive: to mark and sweep
    leases/ID      digests, one a line; flock'ed shared by every process that holds it

A holder adds a digest BEFORE it looks whether the blob or layer is here. The collector holds gc.lock while it marks and
sweeps, so that what a holder then finds stays. A lease ends with its last holder, also when that is killed.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import uuid
from collections.abc import Iterable, Iterator
from types import TracebackType

from cricket.errors import Aborted
from cricket.images.content import write_errors
from cricket.kernel.effects import effect


class Lease:
    """A held lease; blobs and chain ids in it are safe. A context manager; methods block on file locks."""

    def __init__(self, root: str, lease_id: str = "") -> None:
        """A new lease; or, with `lease_id`, hold one that another process holds (Aborted when it ended)."""
        self._root = root
        self.id = lease_id or uuid.uuid4().hex
        self._path = os.path.join(root, "leases", self.id)
        with write_errors(self._path), gc_lock(root, exclusive=False):
            os.makedirs(os.path.dirname(self._path), mode=0o700, exist_ok=True)
            flags = os.O_RDWR | os.O_APPEND | os.O_CLOEXEC | (0 if lease_id else os.O_CREAT | os.O_EXCL)
            try:
                self._fd = os.open(self._path, flags, 0o600)
            except FileNotFoundError as e:
                raise Aborted("the lease of this operation has ended", where=lease_id) from e
            # No wait: the collector, the only one to lock it otherwise, holds gc.lock while it does.
            fcntl.flock(self._fd, fcntl.LOCK_SH)
        if not lease_id:
            effect("lease made")

    def add(self, digests: Iterable[str]) -> None:
        """Protect blobs (by digest) and layers (by chain id), also ones that are not here yet."""
        lines = "".join(f"{digest}\n" for digest in digests).encode()
        with write_errors(self._path), gc_lock(self._root, exclusive=False):
            os.write(self._fd, lines)

    def release(self) -> None:
        """End it, unless another process holds it too. Idempotent."""
        if self._fd < 0:
            return
        with write_errors(self._path), gc_lock(self._root, exclusive=False):
            try:
                fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(self._path)
            except BlockingIOError:
                pass
        os.close(self._fd)
        self._fd = -1
        effect("lease released")

    def __enter__(self) -> Lease:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


@contextlib.contextmanager
def gc_lock(root: str, *, exclusive: bool) -> Iterator[None]:
    """Hold the collector's lock; blocks."""
    path = os.path.join(root, "gc.lock")
    with write_errors(path):
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH)
        yield
    finally:
        os.close(fd)


def leased(root: str) -> set[str]:
    """All digests under live leases; dead leases are deleted. For the collector, under its exclusive lock."""
    directory = os.path.join(root, "leases")
    found: set[str] = set()
    with write_errors(directory):
        for name in os.listdir(directory) if os.path.isdir(directory) else ():
            path = os.path.join(directory, name)
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                os.unlink(path)
            except BlockingIOError:
                with open(path, encoding="ascii") as f:
                    found.update(f.read().split())
            finally:
                os.close(fd)
    return found
