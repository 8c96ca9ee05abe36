"""hostPath: what has to be there, by its type (kubelet pkg/volume/hostpath)."""

from __future__ import annotations

import os
import stat

from cricket.kubelet.failure import FailedMount
from cricket.kubelet.model.volume import HostPath

_IS = {
    "Directory": (stat.S_ISDIR, "a directory"),
    "DirectoryOrCreate": (stat.S_ISDIR, "a directory"),
    "File": (stat.S_ISREG, "a file"),
    "FileOrCreate": (stat.S_ISREG, "a file"),
    "Socket": (stat.S_ISSOCK, "a socket file"),
    "CharDevice": (stat.S_ISCHR, "a character device"),
    "BlockDevice": (stat.S_ISBLK, "a block device"),
}


def check(volume: HostPath) -> None:
    """Make what the type says shall be made, and check. Without a type the runtime has to cope. Raises FailedMount."""
    if not volume.type:
        return
    try:
        if volume.type == "DirectoryOrCreate" and not os.path.exists(volume.path):
            os.makedirs(volume.path, 0o755, exist_ok=True)
        elif volume.type == "FileOrCreate" and not os.path.exists(volume.path):
            os.close(os.open(volume.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644))
        mode: int | None = os.stat(volume.path).st_mode
    except FileNotFoundError as error:
        if volume.type.endswith("OrCreate"):
            raise FailedMount(f"hostPath type check failed: {volume.path} cannot be made") from error
        mode = None
    except OSError as error:
        raise FailedMount(f"hostPath type check failed: {volume.path}") from error
    fits, words = _IS[volume.type]
    if mode is None or not fits(mode):
        raise FailedMount(f"hostPath type check failed: {volume.path} is not {words}")
