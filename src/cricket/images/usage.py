"""What a directory tree takes on disk."""

from __future__ import annotations

import os
import time

from cricket.errors import Internal, NotFound
from cricket.types.image import FsUsage

_DIR = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def disk_usage(path: str) -> FsUsage:
    """Blocks and inodes of a tree, a hard link counted once, symlinks not followed; blocks on I/O.

    The tree may change meanwhile, also by somebody hostile: what vanishes is left out. NotFound without `path`.
    """
    try:
        top = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError as e:
        raise NotFound("there is nothing to measure", where=path) from e
    except OSError as e:
        raise Internal("cannot measure a directory", where=path) from e
    info = os.fstat(top)
    used, seen, linked = info.st_blocks * 512, 1, set[int]()
    pending = [top]
    try:
        while pending:
            fd = pending.pop()
            try:
                size, count = _scan(fd, info.st_dev, linked, pending)
                used, seen = used + size, seen + count
            finally:
                os.close(fd)
    finally:
        for fd in pending:
            os.close(fd)
    return FsUsage(mountpoint=path, used_bytes=used, inodes=seen, timestamp=time.time_ns())


def _scan(fd: int, device: int, linked: set[int], pending: list[int]) -> tuple[int, int]:
    used = seen = 0
    try:
        with os.scandir(fd) as entries:
            for entry in entries:
                try:
                    info = entry.stat(follow_symlinks=False)
                    if info.st_dev != device:
                        continue
                    if entry.is_dir(follow_symlinks=False):
                        pending.append(os.open(entry.name, _DIR, dir_fd=fd))
                    elif info.st_nlink > 1:
                        if info.st_ino in linked:
                            continue
                        linked.add(info.st_ino)
                except OSError:
                    continue  # it vanished, or was swapped for something else
                used += info.st_blocks * 512
                seen += 1
    except OSError:
        pass  # the directory itself vanished
    return used, seen
