"""fsGroup: a volume that a group may write (kubelet pkg/volume/volume_linux.go)."""

from __future__ import annotations

import os
import stat

_FILE, _DIRECTORY = 0o660, 0o2770


def give(path: str, group: int, policy: str) -> None:
    """Give all files below `path`, and then itself, to the group, readable and writable; new files in its directories
    inherit the group. With the policy OnRootMismatch nothing happens when the top is already so. Symlinks are not
    followed. Blocks. Raises OSError."""
    if policy == "OnRootMismatch" and _given(path, group):
        return
    for parent, _, names in os.walk(path, topdown=False):
        for name in names:
            _give(os.path.join(parent, name), group)
        _give(parent, group)


def _given(path: str, group: int) -> bool:
    status = os.stat(path)
    return status.st_gid == group and status.st_mode & _DIRECTORY == _DIRECTORY


def _give(path: str, group: int) -> None:
    status = os.lstat(path)
    os.chown(path, -1, group, follow_symlinks=False)
    if not stat.S_ISLNK(status.st_mode):
        extra = _DIRECTORY if stat.S_ISDIR(status.st_mode) else _FILE
        # chown clears set-id bits, which chmod puts back.
        os.chmod(path, stat.S_IMODE(status.st_mode) | extra)
