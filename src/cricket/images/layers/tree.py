"""The directory that a layer is unpacked into, reached only through descriptors of directories below it.

A path in the archive is walked component by component with O_NOFOLLOW; a symlink on the way is resolved as if the
directory were the root. Directories stay writable and are given owner, mode, times and xattrs at the end.
"""

from __future__ import annotations

import errno
import os
import stat

from cricket.images.layers.tar import Entry
from cricket.kernel import confined

_DIR = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_MAX_FDS, _DEEP = 64, 32
_PATH_MAX = 4096
OPAQUE_XATTR = "trusted.overlay.opaque"


def clean(name: bytes) -> bytes:
    """A member's name as a path below the top, without ".", ".." and empty parts; "" is the top itself.

    ".." is cancelled against what precedes it and stops at the top, as path cleaning does everywhere else.
    """
    if name.startswith(b"./"):
        name = name[2:]
    name = name.rstrip(b"/")
    if not name or not (name[0] in b"/." or b"//" in name or b"/." in name):
        return name
    parts: list[bytes] = []
    for part in name.split(b"/"):
        if part == b"..":
            del parts[-1:]
        elif part not in (b"", b"."):
            parts.append(part)
    return b"/".join(parts)


class Tree:
    """Directories of one layer. Methods raise OSError.

    Results: `implied` and `opaque_root` as in ApplyResult, `made` directories, `recount` when they are not all.
    """

    def __init__(self, path: str) -> None:
        self.root = confined.open_root(path)
        # A setgid bit inherited from above would leak into everything that is made here.
        os.fchmod(self.root, 0o755)
        self._fds: dict[bytes, int] = {b"": self.root}
        self._entries: dict[bytes, Entry | None] = {}
        self.implied: set[bytes] = {b""}
        self.made = 0
        self.recount = False
        self.opaque_root = False

    def parent(self, path: bytes) -> tuple[int, bytes]:
        """Descriptor of the directory that holds `path`, made when missing, and the last part of `path`."""
        head, _, name = path.rpartition(b"/")
        fd = self._fds.get(head)
        return (fd if fd is not None else self.open(head)), name

    def open(self, path: bytes) -> int:
        """Descriptor of the directory `path` (it stays ours), made with its parents when missing."""
        fd = self._fds.get(path)
        if fd is not None:
            return fd
        if len(path) > _PATH_MAX:
            raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG))
        known = path
        while known not in self._fds:
            known = known.rpartition(b"/")[0]
        if len(self._fds) > _MAX_FDS:
            self.forget()
            known = b""
        fd = self._fds[known]
        names = (path[len(known) + 1 :] if known else path).split(b"/")
        for name in names:
            above, known = known, known + b"/" + name if known else name
            fd = self._fds[known] = self._enter(fd, name, known)
            if above and len(names) > _DEEP:
                os.close(self._fds.pop(above))  # a hostile depth must not use up the descriptors
        return fd

    def _enter(self, parent: int, name: bytes, path: bytes) -> int:
        try:
            return os.open(name, _DIR, dir_fd=parent)
        except FileNotFoundError:
            self._imply(parent, name, path)
            return os.open(name, _DIR, dir_fd=parent)
        except OSError as e:
            if e.errno not in (errno.ENOTDIR, errno.ELOOP):
                raise
        info = os.stat(name, dir_fd=parent, follow_symlinks=False)
        if is_whiteout(info):
            # Deleted below and made again here: nothing from below may show in it.
            os.unlink(name, dir_fd=parent)
            self._imply(parent, name, path)
            fd = os.open(name, _DIR, dir_fd=parent)
            os.setxattr(fd, OPAQUE_XATTR, b"y")
            return fd
        self.recount = True
        return confined.make_dirs(self.root, path)

    def _imply(self, parent: int, name: bytes, path: bytes) -> None:
        os.mkdir(name, 0o700, dir_fd=parent)
        self.made += 1
        self.implied.add(path)
        self._entries[path] = None

    def make(self, path: bytes, entry: Entry) -> bool:
        """Make the directory of an archive entry; False when something that is no directory is in the way."""
        if path:
            parent, name = self.parent(path)
            try:
                os.mkdir(name, 0o700, dir_fd=parent)
                self.made += 1
            except FileExistsError:
                if not stat.S_ISDIR(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode):
                    return False
        self.implied.discard(path)
        self._entries[path] = entry
        return True

    def set_opaque(self, path: bytes) -> None:
        """Hide what lower layers have in the directory `path`."""
        if path:
            os.setxattr(self.open(path), OPAQUE_XATTR, b"y")
        else:
            self.opaque_root = True

    def clear(self, path: bytes) -> bool:
        """Remove what is at `path` to make room; True when it was a whiteout."""
        parent, name = self.parent(path)
        whiteout = is_whiteout(os.stat(name, dir_fd=parent, follow_symlinks=False))
        confined.remove_tree(name, parent)
        self.recount = True
        self.forget()
        below = path + b"/"
        for gone in [p for p in self._entries if p == path or p.startswith(below)]:
            del self._entries[gone]
            self.implied.discard(gone)
        return whiteout

    def finish(self) -> None:
        """Give every directory its owner, mode, xattrs and times."""
        for path, entry in reversed(self._entries.items()):
            fd = self.open(path)
            if entry is None:
                os.fchmod(fd, 0o755)
                continue
            os.fchown(fd, entry.uid, entry.gid)
            os.fchmod(fd, entry.mode)
            if entry.xattrs:
                set_xattrs(fd, entry.xattrs)
            os.utime(fd, ns=(entry.mtime, entry.mtime))

    def forget(self) -> None:
        """Close all descriptors but the top's."""
        for path, fd in self._fds.items():
            if path:
                os.close(fd)
        self._fds = {b"": self.root}

    def __enter__(self) -> Tree:
        return self

    def __exit__(self, *error: object) -> None:
        self.forget()
        os.close(self.root)


def is_whiteout(info: os.stat_result) -> bool:
    """Whether it is the character device 0:0, with which overlayfs hides a name of lower layers."""
    return stat.S_ISCHR(info.st_mode) and info.st_rdev == 0


def set_xattrs(target: int | bytes, xattrs: dict[bytes, bytes]) -> None:
    """Set xattrs on a descriptor, or on a path without following it.

    Overlayfs's own are dropped: an archive must not redirect lookups. What the file system or the kind of file cannot
    hold is left out.
    """
    for name, value in xattrs.items():
        if name.startswith(b"trusted.overlay."):
            continue
        try:
            if isinstance(target, int):
                os.setxattr(target, name, value)
            else:
                os.setxattr(target, name, value, follow_symlinks=False)
        except OSError as e:
            # EPERM: user.* is not for symlinks and devices.
            if e.errno != errno.ENOTSUP and not (e.errno == errno.EPERM and name.startswith(b"user.")):
                raise
