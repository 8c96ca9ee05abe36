"""Writing a checkpoint archive from a directory that holds its members."""

from __future__ import annotations

import io
import os
import stat
import time
import uuid
from typing import IO, Any, cast

from cricket.errors import DeadlineExceeded, FailedPrecondition, InvalidArgument
from cricket.kernel.effects import effect
from cricket.kernel.files import sync_dir
from cricket.lifecycle import checkpoint_format as form

# What a reader wants first comes first: it need not read all of memory to find the image's name.
_ORDER = (form.CONFIG_DUMP, form.SPEC_DUMP, form.BIND_MOUNTS, form.DUMP_LOG, form.STATS_DUMP, form.LOG,
          form.DELETED_FILES, form.ROOTFS_DIFF)  # fmt: skip
_COPY = 1 << 20


def check_location(location: str) -> None:
    """Raises InvalidArgument, FailedPrecondition unless a file can be put at the absolute path `location`."""
    parent, name = os.path.split(location)
    if not location.startswith("/") or "\0" in location or name in ("", ".", ".."):
        raise InvalidArgument("a checkpoint's location is the absolute path of a file", where=location)
    if not os.path.isdir(parent):
        raise FailedPrecondition("the directory for the checkpoint does not exist", where=parent)
    try:
        mode = os.lstat(location).st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISREG(mode):
        raise InvalidArgument("something that is no file is in the checkpoint's place", where=location)


def write_archive(directory: str, location: str, until: float) -> None:
    """Pack `directory` into the file `location`, mode 0600, whole or not at all, replacing one that is there. Blocks.

    Raises DeadlineExceeded when time.monotonic() reaches `until`, ResourceExhausted, Internal.
    """
    parent, name = os.path.split(location)
    temporary = os.path.join(parent, f".{name[:200]}.{uuid.uuid4().hex[:12]}")
    with form.disk_errors("the checkpoint archive cannot be written", location):
        # Nobody else may read it: it holds the container's memory.
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            with _Timed(fd, until) as file:
                _pack(directory, cast(IO[bytes], file))
                os.fsync(fd)
            os.rename(temporary, location)
        except BaseException:
            os.unlink(temporary)
            raise
        sync_dir(parent)
    effect("checkpoint archive written")


class _Timed(io.FileIO):
    """A file that takes no more data once its time is over."""

    def __init__(self, fd: int, until: float) -> None:
        super().__init__(fd, "wb")
        self._until = until

    def write(self, data: Any) -> int:
        if time.monotonic() >= self._until:
            raise DeadlineExceeded("writing the checkpoint archive took too long")
        view, done = memoryview(data), 0
        while done < len(view):
            done += super().write(view[done:])
        return done


def _pack(directory: str, target: IO[bytes]) -> None:
    import tarfile

    names = [name for name in _ORDER if os.path.exists(os.path.join(directory, name))]
    images = sorted(os.listdir(os.path.join(directory, form.CRIU_IMAGES)))
    names += [form.CRIU_IMAGES, *(f"{form.CRIU_IMAGES}/{name}" for name in images)]
    with tarfile.TarFile(fileobj=target, mode="w", format=tarfile.PAX_FORMAT, copybufsize=_COPY) as archive:
        for name in names:
            archive.add(os.path.join(directory, name), name, recursive=False, filter=_anonymous)


def _anonymous(info: Any) -> Any:
    info.uid = info.gid = 0
    info.uname = info.gname = ""
    info.mode = 0o700 if info.isdir() else 0o600
    return info
