"""Files that are whole or absent, and removal that forgives."""

from __future__ import annotations

import contextlib
import os
import shutil

from cricket.errors import Internal, map_errors
from cricket.types.metrics import REGISTRY

_synced = REGISTRY.counter("cricket_fsyncs_total", "Files and directories synced by the daemon.")


def atomic_write(path: str, data: bytes, *, mode: int = 0o644, durable: bool = True) -> None:
    """Replace `path` with `data`: temp file, fsync, rename, fsync of the directory.

    `durable=False` leaves the fsyncs out: for files under the state directory, which a reboot empties anyway.
    Raises Internal with the path.
    """
    temp = f"{path}.tmp{os.getpid()}"
    with map_errors(OSError, Internal, "cannot write a file", where=path):
        fd = os.open(temp, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
        try:
            with open(fd, "wb") as f:
                f.write(data)
                f.flush()
                if durable:
                    _synced.inc()
                    os.fsync(f.fileno())
            os.rename(temp, path)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(temp)
            raise
        if durable:
            sync_dir(os.path.dirname(path))


def sync_dir(path: str) -> None:
    """fsync a directory, so that a rename in it survives power loss."""
    fd = os.open(path or ".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        _synced.inc()
        os.fsync(fd)
    finally:
        os.close(fd)


def make_dir(path: str, mode: int = 0o755) -> None:
    """Make a directory with its parents; an existing one is left as it is. Raises Internal with the path."""
    with map_errors(OSError, Internal, "cannot make a directory", where=path):
        os.makedirs(path, mode, exist_ok=True)


def remove_file(path: str) -> None:
    """Remove a file; a missing one is no error. Raises Internal with the path."""
    with map_errors(OSError, Internal, "cannot remove a file", where=path), contextlib.suppress(FileNotFoundError):
        os.unlink(path)


def remove_tree(path: str) -> None:
    """Remove a tree; a missing one is no error. The caller has unmounted what was mounted in it. Raises Internal."""
    with map_errors(OSError, Internal, "cannot remove a directory", where=path):
        try:
            shutil.rmtree(path)
        except FileNotFoundError:
            if os.path.lexists(path):
                shutil.rmtree(path)
