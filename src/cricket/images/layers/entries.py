"""Writing single entries of a layer: files, links, devices, whiteouts."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator

from cricket.errors import DataLoss, Internal, ResourceExhausted
from cricket.images.layers import tar
from cricket.images.layers.tar import Entry, TarReader
from cricket.images.layers.tree import Tree, clean, set_xattrs
from cricket.kernel import confined

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_DIR = os.O_RDONLY | os.O_DIRECTORY
_WHITEOUT, _META, _OPAQUE = b".wh.", b".wh..wh.", b".wh..wh..opq"
# What the kernel says of names, links and numbers that no sound archive holds.
_ARCHIVE_ERRNOS = frozenset(
    (errno.ENAMETOOLONG, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.EINVAL, errno.EXDEV, errno.EMLINK)
    + (errno.EEXIST, errno.ENOENT, errno.EFBIG, errno.ERANGE, errno.E2BIG, errno.EOVERFLOW)
)


class EntryWriter:
    """Writes the entries of one archive into a tree; `size_bytes` and `inodes` count all but directories."""

    def __init__(self, tree: Tree, reader: TarReader) -> None:
        self._tree, self._reader = tree, reader
        self._ids = (os.geteuid(), os.getegid())
        self.size_bytes = self.inodes = 0

    def write(self, entry: Entry) -> None:
        """Put one entry in its place, replacing what an earlier entry of the same name put there."""
        path = clean(entry.name)
        name = path[path.rfind(b"/") + 1 :]
        if name.startswith(_WHITEOUT):
            self._whiteout(path, name)
        elif entry.type == tar.DIRECTORY:
            self._directory(path, entry)
        elif not path:
            raise self._reader.damaged("an entry that is no directory stands for the top of the layer")
        else:
            if entry.type == tar.REGULAR:
                write = self._regular
            elif entry.type == tar.HARDLINK:
                write = self._hardlink
            else:
                write = self._special
            try:
                write(path, entry)
            except FileExistsError:
                if entry.type == tar.HARDLINK and self._same(path, clean(entry.link)):
                    return
                self._tree.clear(path)
                write(path, entry)
            self.inodes += entry.type != tar.HARDLINK

    def _directory(self, path: bytes, entry: Entry) -> None:
        if not self._tree.make(path, entry):
            whiteout = self._tree.clear(path)
            self._tree.make(path, entry)
            if whiteout:
                self._tree.set_opaque(path)

    def _regular(self, path: bytes, entry: Entry) -> None:
        parent, name = self._tree.parent(path)
        fd = os.open(name, _NEW, 0o600, dir_fd=parent)
        try:
            if entry.segments is not None:
                self._reader.copy_sparse(fd, entry)
            elif entry.size:
                self._reader.copy_to(fd)
            # The order matters: chown drops setuid bits and capabilities, and writing changes the times.
            if (entry.uid, entry.gid) != self._ids:
                os.fchown(fd, entry.uid, entry.gid)
            os.fchmod(fd, entry.mode)
            if entry.xattrs:
                set_xattrs(fd, entry.xattrs)
            os.utime(fd, ns=(entry.mtime, entry.mtime))
        finally:
            os.close(fd)
        self.size_bytes += (entry.stored + 4095) & ~4095

    def _hardlink(self, path: bytes, entry: Entry) -> None:
        source = clean(entry.link)
        with self._existing(source) as (from_fd, from_name):
            parent, name = self._tree.parent(path)
            try:
                os.link(from_name, name, src_dir_fd=from_fd, dst_dir_fd=parent, follow_symlinks=False)
            except (FileNotFoundError, PermissionError) as e:
                raise self._reader.damaged(f"a hard link to {os.fsdecode(source)!r}, which is no file here") from e

    @contextlib.contextmanager
    def _existing(self, path: bytes) -> Iterator[tuple[int, bytes]]:
        """The directory of a path that should exist; nothing is made."""
        head, _, name = path.rpartition(b"/")
        try:
            if not name:
                raise FileNotFoundError(errno.ENOENT, "empty name")
            fd = confined.open_in_root(self._tree.root, head, _DIR)
        except OSError as e:
            raise self._reader.damaged(f"a hard link to {os.fsdecode(path)!r}, which is not in the layer") from e
        try:
            yield fd, name
        finally:
            os.close(fd)

    def _same(self, path: bytes, other: bytes) -> bool:
        parent, name = self._tree.parent(path)
        with self._existing(other) as (fd, other_name), contextlib.suppress(FileNotFoundError):
            return os.path.samestat(
                os.stat(name, dir_fd=parent, follow_symlinks=False),
                os.stat(other_name, dir_fd=fd, follow_symlinks=False),
            )
        return False

    def _special(self, path: bytes, entry: Entry) -> None:
        """A symlink, device or fifo: made in place, then given its owner and times without being opened."""
        parent, name = self._tree.parent(path)
        if entry.type == tar.SYMLINK:
            os.symlink(entry.link, name, dir_fd=parent)
        else:
            kind = {tar.CHAR: stat.S_IFCHR, tar.BLOCK: stat.S_IFBLK, tar.FIFO: stat.S_IFIFO}[entry.type]
            os.mknod(name, kind | 0o600, os.makedev(entry.major, entry.minor), dir_fd=parent)
        os.chown(name, entry.uid, entry.gid, dir_fd=parent, follow_symlinks=False)
        if entry.type != tar.SYMLINK:
            # Not a symlink, and nobody else writes here: following cannot lead away.
            os.chmod(name, entry.mode, dir_fd=parent)
        if entry.xattrs:
            set_xattrs(b"/proc/self/fd/%d/%b" % (parent, name), entry.xattrs)
        os.utime(name, ns=(entry.mtime, entry.mtime), dir_fd=parent, follow_symlinks=False)

    def _whiteout(self, path: bytes, name: bytes) -> None:
        head = path[: -len(name) - 1] if len(path) > len(name) else b""
        if name == _OPAQUE:
            self._tree.set_opaque(head)
            return
        if name.startswith(_META):
            return  # bookkeeping of AUFS
        hidden = name[len(_WHITEOUT) :]
        if hidden in (b"", b".", b".."):
            raise self._reader.damaged("a whiteout without a name")
        path = head + b"/" + hidden if head else hidden
        parent, _ = self._tree.parent(path)
        try:
            os.mknod(hidden, stat.S_IFCHR, 0, dir_fd=parent)
            self.inodes += 1
        except FileExistsError:
            # The layer also has the name itself: that stays, and hides by itself, but a directory would merge.
            if stat.S_ISDIR(os.stat(hidden, dir_fd=parent, follow_symlinks=False).st_mode):
                self._tree.set_opaque(path)


@contextlib.contextmanager
def entry_errors(at: TarReader | str) -> Iterator[None]:
    """Translate errors of the kernel while an archive is unpacked; `at` says where."""
    try:
        yield
    except (OverflowError, ValueError) as e:
        if isinstance(at, TarReader):
            raise at.damaged("an entry holds a value that no file can have") from e
        raise Internal("cannot unpack a layer", where=at) from e
    except OSError as e:
        if e.errno in (errno.ENOSPC, errno.EDQUOT):
            where = at if isinstance(at, str) else os.fsdecode(at.current)
            raise ResourceExhausted("the disk of the image store is full", where=where) from e
        if isinstance(at, str):
            raise Internal("cannot unpack a layer", where=at) from e
        if e.errno in _ARCHIVE_ERRNOS:
            raise DataLoss("an entry cannot be unpacked", where=at.damaged("").where) from e
        raise Internal("cannot unpack an entry", where=at.damaged("").where) from e
