"""Directories that a layer needed but did not list look as they do in the layers below."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Sequence

from cricket.images.layers.tree import OPAQUE_XATTR, is_whiteout
from cricket.kernel import confined

_DIR = os.O_RDONLY | os.O_DIRECTORY
_MISSING = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)


def adopt_implied(layer: str, implied: Sequence[bytes], lowers: Sequence[str]) -> None:
    """Give the directories `implied` of `layer` owner, mode, times and xattrs of the topmost lower that has them.

    Without this an archive that holds only `tmp/file` would make the image's /tmp lose its sticky bit. `lowers` are
    directories, top first. Raises OSError.
    """
    roots = [os.open(p, _DIR | os.O_CLOEXEC) for p in (layer, *lowers)]
    try:
        for path in implied:
            source = _topmost(roots[1:], path)
            if source is None:
                continue
            try:
                target = confined.open_in_root(roots[0], path, _DIR)
                try:
                    _copy(source, target)
                finally:
                    os.close(target)
            finally:
                os.close(source)
    finally:
        for fd in roots:
            os.close(fd)


def _topmost(roots: Sequence[int], path: bytes) -> int | None:
    for root in roots:
        try:
            fd = confined.open_in_root(root, path, os.O_PATH | os.O_NOFOLLOW, symlinks=False)
        except OSError as e:
            if e.errno not in _MISSING:
                raise
            if _hidden(root, path):
                return None
            continue
        info = os.fstat(fd)
        os.close(fd)
        if is_whiteout(info) or not stat.S_ISDIR(info.st_mode):
            return None
        return confined.open_in_root(root, path, _DIR, symlinks=False)
    return None


def _hidden(root: int, path: bytes) -> bool:
    """Whether a layer that does not have `path` hides it from the layers above: by a whiteout or an opaque parent."""
    while path:
        path = path.rpartition(b"/")[0]
        try:
            fd = confined.open_in_root(root, path, os.O_PATH | os.O_NOFOLLOW, symlinks=False)
        except OSError as e:
            if e.errno not in _MISSING:
                raise
            continue
        try:
            if not stat.S_ISDIR(os.fstat(fd).st_mode):
                return True
            try:
                return os.getxattr(f"/proc/self/fd/{fd}", OPAQUE_XATTR) == b"y"
            except OSError:
                continue
        finally:
            os.close(fd)
    return False


def _copy(source: int, target: int) -> None:
    info = os.fstat(source)
    os.fchown(target, info.st_uid, info.st_gid)
    os.fchmod(target, stat.S_IMODE(info.st_mode))
    for name in os.listxattr(source):
        if not name.startswith("trusted.overlay."):
            os.setxattr(target, name, os.getxattr(source, name))
    os.utime(target, ns=(info.st_mtime_ns, info.st_mtime_ns))
