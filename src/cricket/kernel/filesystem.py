"""How large a file system is."""

from __future__ import annotations

import os

from cricket.kernel.mountinfo import mount_of
from cricket.types.stats import FsCapacity


def capacity(path: str) -> FsCapacity:
    """Size and inodes of the file system that holds `path`; a few microseconds and one read of mountinfo.

    Raises OSError when the path is gone.
    """
    status = os.statvfs(path)
    return FsCapacity(
        device=mount_of(path).source,
        limit_bytes=status.f_blocks * status.f_frsize,
        inodes_total=status.f_files,
        inodes_free=status.f_ffree,
    )
