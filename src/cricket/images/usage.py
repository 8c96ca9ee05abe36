"""What a directory tree takes on disk."""

from __future__ import annotations

import contextlib
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
    walk = _Walk(top)
    try:
        walk.run()
    finally:
        os.close(walk.fd)
    return FsUsage(mountpoint=path, used_bytes=walk.used, inodes=walk.seen, timestamp=time.time_ns())


class _Walk:
    """Depth first with a single descriptor, so that no depth or width can use up the daemon's."""

    def __init__(self, top: int) -> None:
        info = os.fstat(top)
        self.fd, self.used, self.seen = top, info.st_blocks * 512, 1
        self._device, self._linked = info.st_dev, set[int]()

    def run(self) -> None:
        todo = self._scan()
        way: list[tuple[int, list[str]]] = []
        while todo or way:
            try:
                if todo:
                    here = os.fstat(self.fd).st_ino
                    self._move(todo.pop())
                    way.append((here, todo))
                    todo = self._scan()
                else:
                    inode, todo = way.pop()
                    self._move("..")
                    if os.fstat(self.fd).st_ino != inode:
                        return  # moved while we were in it: what is left cannot be found again
            except OSError:
                continue  # it vanished, or was swapped for something else

    def _move(self, name: str) -> None:
        fd = os.open(name, _DIR, dir_fd=self.fd)
        os.close(self.fd)
        self.fd = fd

    def _scan(self) -> list[str]:
        below: list[str] = []
        with contextlib.suppress(OSError), os.scandir(self.fd) as entries:
            for entry in entries:
                try:
                    info = entry.stat(follow_symlinks=False)
                except OSError:
                    continue
                if info.st_dev != self._device:
                    continue
                if entry.is_dir(follow_symlinks=False):
                    below.append(entry.name)
                elif info.st_nlink > 1:
                    if info.st_ino in self._linked:
                        continue
                    self._linked.add(info.st_ino)
                self.used += info.st_blocks * 512
                self.seen += 1
        return below
