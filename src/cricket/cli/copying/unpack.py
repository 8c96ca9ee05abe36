"""Entries become files of a tree, and of nothing else: whatever the archive says, whatever links lie about."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
import tarfile
from collections.abc import Callable, Iterable
from typing import IO

from cricket.cli.copying.entries import CHUNK, Entry
from cricket.cli.copying.tree import Place, Tree
from cricket.errors import FailedPrecondition

_IN_PLACE = (errno.EBUSY, errno.EROFS, errno.EACCES, errno.EPERM)
"""A file that is a mount point, or in a directory that is not ours, can still be written to."""


def unpack(tree: Tree, entries: Iterable[Entry], *, owners: bool, skipped: Callable[[str], None]) -> None:
    """Write them below the tree's top; names are relative. With `owners` uids, gids and set-id bits are kept.

    A file appears whole or not at all. Directories that exist keep their modes. Raises OSError, `Leaving` among them,
    and FailedPrecondition where a file stands in the way of a directory.
    """
    unpacking = _Unpacking(tree, owners, skipped)
    try:
        for entry in entries:
            unpacking.one(entry)
    finally:
        unpacking.finish()


class _Unpacking:
    def __init__(self, tree: Tree, owners: bool, skipped: Callable[[str], None]) -> None:
        self._tree, self._owners, self._skipped = tree, owners, skipped
        self._made: list[tarfile.TarInfo] = []

    def one(self, entry: Entry) -> None:
        info = entry.info
        if info.isdir():
            self._directory(info)
        elif info.isreg() and entry.data is not None:
            with self._place(info.name) as place:
                self._file(place, info, entry.data)
        elif info.issym() or info.islnk():
            with self._place(info.name) as place:
                self._link(place, info)
        else:
            self._skipped(info.name)

    def finish(self) -> None:
        """Directories get their modes and times last: a read-only one would have taken nothing."""
        for info in reversed(self._made):
            with contextlib.suppress(FileNotFoundError), self._tree.find(info.name, follow=False) as place:
                if stat.S_ISDIR(place.mode):
                    self._attributes(f"/proc/self/fd/{place.fd}", info)
        self._made.clear()

    def _place(self, name: str) -> Place:
        above = os.path.dirname(name)
        try:
            return self._tree.find(name, follow=False)
        except FileNotFoundError:
            self._parents(above)
            return self._tree.find(name, follow=False)

    def _parents(self, path: str) -> None:
        done = ""
        for part in path.split("/"):
            done = f"{done}/{part}" if done else part
            with self._tree.find(done) as place:
                if place.fd < 0:
                    os.mkdir(place.name, 0o755, dir_fd=place.parent)

    def _directory(self, info: tarfile.TarInfo) -> None:
        with self._place(info.name) as place:
            if stat.S_ISLNK(place.mode):
                with self._tree.find(info.name) as led:
                    if stat.S_ISDIR(led.mode):
                        return
            if stat.S_ISDIR(place.mode):
                return
            if place.fd >= 0:
                raise FailedPrecondition("a file is where a directory should be", where=info.name)
            os.mkdir(place.name, 0o700, dir_fd=place.parent)
            self._made.append(info)

    def _file(self, place: Place, info: tarfile.TarInfo, data: IO[bytes]) -> None:
        if stat.S_ISDIR(place.mode):
            raise FailedPrecondition("a directory is where a file should be", where=info.name)
        temporary = f".cp-{secrets.token_hex(6)}"
        try:
            fd = os.open(
                temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600,
                dir_fd=place.parent,
            )  # fmt: skip
        except OSError as error:
            if error.errno not in _IN_PLACE or not stat.S_ISREG(place.mode):
                raise
            self._overwrite(place, data, info.size)
            return
        try:
            with open(fd, "wb", buffering=0) as file:
                _copy(data, file, info.size)
                self._attributes(file.fileno(), info)
            self._replace(temporary, place)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(temporary, dir_fd=place.parent)
            raise

    def _replace(self, temporary: str, place: Place) -> None:
        try:
            os.rename(temporary, place.name, src_dir_fd=place.parent, dst_dir_fd=place.parent)
        except OSError as error:
            if error.errno not in _IN_PLACE or not stat.S_ISREG(place.mode):
                raise
            fd = os.open(temporary, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=place.parent)
            with open(fd, "rb", buffering=0) as whole:
                self._overwrite(place, whole, os.fstat(fd).st_size)
            os.unlink(temporary, dir_fd=place.parent)

    def _overwrite(self, place: Place, data: IO[bytes], size: int) -> None:
        with open(place.reopen(os.O_WRONLY | os.O_TRUNC), "wb", buffering=0) as file:
            _copy(data, file, size)

    def _link(self, place: Place, info: tarfile.TarInfo) -> None:
        if stat.S_ISDIR(place.mode):
            raise FailedPrecondition("a directory is where a link should be", where=info.name)
        temporary = f".cp-{secrets.token_hex(6)}"
        if info.issym():
            os.symlink(info.linkname, temporary, dir_fd=place.parent)
        else:
            with self._tree.find(info.linkname, follow=False) as linked:
                if linked.fd < 0:
                    raise FileNotFoundError(errno.ENOENT, "the file of a hard link is missing", info.linkname)
                os.link(
                    linked.name, temporary, src_dir_fd=linked.parent, dst_dir_fd=place.parent, follow_symlinks=False
                )
        try:
            if info.issym() and self._owners:
                os.chown(temporary, info.uid, info.gid, dir_fd=place.parent, follow_symlinks=False)
            os.rename(temporary, place.name, src_dir_fd=place.parent, dst_dir_fd=place.parent)
        finally:
            # A rename onto another name of the same file leaves both.
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary, dir_fd=place.parent)

    def _attributes(self, file: int | str, info: tarfile.TarInfo) -> None:
        if self._owners:
            os.chown(file, info.uid, info.gid)
        os.chmod(file, info.mode & (0o7777 if self._owners else 0o1777 if info.isdir() else 0o777))
        os.utime(file, (info.mtime, info.mtime))


def _copy(data: IO[bytes], file: IO[bytes], size: int) -> None:
    left = size
    while left:
        block = data.read(min(left, CHUNK))
        if not block:
            raise OSError(errno.EIO, "the file became shorter while it was copied")
        left -= len(block)
        rest = memoryview(block)
        while rest:
            rest = rest[file.write(rest) :]
