"""Packing a directory as a layer."""

from __future__ import annotations

import errno
import os
import stat
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    import tarfile


def pack_directory(path: str, target: IO[bytes]) -> None:
    """Write the tree of `path` as a PAX tar with owners, nanoseconds, xattrs and hard links, in a fixed order.

    Sockets are left out. Raises OSError.
    """
    import tarfile

    with tarfile.open(fileobj=target, mode="w", format=tarfile.PAX_FORMAT, encoding="utf-8") as tar:
        for directory, below, files in os.walk(path, onerror=_raise):
            below.sort()
            links = [name for name in below if os.path.islink(os.path.join(directory, name))]
            add_path(tar, directory, os.path.relpath(directory, path))
            for name in sorted(files + links):
                full = os.path.join(directory, name)
                add_path(tar, full, os.path.relpath(full, path))


def _raise(error: OSError) -> None:
    raise error


def add_path(tar: tarfile.TarFile, path: str, name: str) -> None:
    """Add one file, directory or link as the member `name`; sockets are left out. Raises OSError."""
    info = tar.gettarinfo(path, name)
    if info is None:
        return  # a socket
    status = os.lstat(path)
    info.uname = info.gname = ""
    seconds, nanos = divmod(status.st_mtime_ns, 10**9)
    info.mtime = seconds
    headers = {}
    if nanos and seconds >= 0:
        headers["mtime"] = f"{seconds}.{nanos:09d}"
    if not info.islnk():
        headers |= _xattrs(path)
    info.pax_headers = headers
    if stat.S_ISREG(status.st_mode) and info.isreg():
        with open(path, "rb") as f:
            tar.addfile(info, f)
    else:
        tar.addfile(info)


def _xattrs(path: str) -> dict[str, str]:
    found = {}
    try:
        for name in os.listxattr(path, follow_symlinks=False):
            value = os.getxattr(path, name, follow_symlinks=False)
            # tarfile takes text and writes the same bytes again.
            found[f"SCHILY.xattr.{name}"] = value.decode("utf-8", "surrogateescape")
    except OSError as e:
        if e.errno != errno.ENOTSUP:
            raise
    return found
