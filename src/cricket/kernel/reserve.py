"""Disk space set aside, so that a full disk does not keep a database from recording that something is to be removed."""

from __future__ import annotations

import contextlib
import os

SIZE = 1 << 20


class Reserve:
    """A file of `size` bytes at `path` that is deleted when its space is needed. Nothing here raises."""

    def __init__(self, path: str, size: int = SIZE) -> None:
        self.path, self.size = path, size

    def keep(self) -> None:
        """Make the file unless it is there; on a full disk there is none until the next call. Idempotent."""
        if os.path.exists(self.path):
            return
        with contextlib.suppress(OSError):
            fd = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            try:
                os.posix_fallocate(fd, 0, self.size)
            except OSError:
                os.unlink(self.path)
            finally:
                os.close(fd)

    def spend(self) -> bool:
        """Give the space back to the file system; whether there was any."""
        try:
            os.unlink(self.path)
        except OSError:
            return False
        return True
