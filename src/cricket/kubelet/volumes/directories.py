"""Directories with exact modes, whatever the umask is."""

from __future__ import annotations

import contextlib
import os
import tempfile

_PRIVATE = 0o750


def make_private(path: str) -> None:
    """Make a directory and those above it that are missing, all for root only: what lies in them may be secret."""
    missing = []
    while not os.path.isdir(path):
        missing.append(path)
        path = os.path.dirname(path)
    for directory in reversed(missing):
        with contextlib.suppress(FileExistsError):
            os.mkdir(directory, _PRIVATE)


def make(path: str, mode: int) -> bool:
    """Make a directory with this mode, at once, in private ones; true when it is new."""
    if os.path.isdir(path):
        return False
    make_private(os.path.dirname(path))
    temporary = tempfile.mkdtemp(prefix=".", dir=os.path.dirname(path))
    os.chmod(temporary, mode)
    try:
        os.rename(temporary, path)
    except OSError:
        os.rmdir(temporary)
        if os.path.isdir(path):
            return False
        raise
    return True
