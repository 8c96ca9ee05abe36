"""Opening files below an untrusted root directory: symlinks are resolved as if it were "/" (as chroot would)."""

from __future__ import annotations

import os
import stat
from collections import deque

from cricket.errors import FailedPrecondition, InvalidArgument, map_errors

_MAX_LINKS = 40


def open_in_root(root: str, path: str) -> int:
    """An O_PATH descriptor of `path` below `root`; it cannot be outside, even when the tree is changed meanwhile.

    Raises OSError (FileNotFoundError, NotADirectoryError, ...); ELOOP after 40 symlinks.
    """
    flags = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
    # Descriptors of the directories walked through: ".." goes back along them, never by the file system's "..".
    stack = [os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)]
    pending, links = deque(path.split("/")), 0
    try:
        while pending:
            name = pending.popleft()
            if name in ("", "."):
                continue
            if name == "..":
                if len(stack) > 1:
                    os.close(stack.pop())
                continue
            fd = os.open(name, flags, dir_fd=stack[-1])
            if not stat.S_ISLNK(os.fstat(fd).st_mode):
                stack.append(fd)
                continue
            try:
                target = os.readlink("", dir_fd=fd)
            finally:
                os.close(fd)
            links += 1
            if links > _MAX_LINKS:
                raise OSError(40, "too many symbolic links", path)
            if target.startswith("/"):
                while len(stack) > 1:
                    os.close(stack.pop())
            pending.extendleft(reversed(target.split("/")))
        return stack.pop()
    finally:
        for fd in stack:
            os.close(fd)


def read_in_root(root: str, path: str, limit: int) -> bytes | None:
    """The content of a regular file below `root`, None when there is none.

    Raises InvalidArgument when it is something else (a pipe, a device) or larger than `limit` bytes, and
    FailedPrecondition when it cannot be read.
    """
    with map_errors(OSError, FailedPrecondition, "cannot read a file of the image", where=path):
        try:
            fd = open_in_root(root, path)
        except (FileNotFoundError, NotADirectoryError):
            return None
        try:
            status = os.fstat(fd)
            if not stat.S_ISREG(status.st_mode):
                raise InvalidArgument("a file of the image is no regular file", where=path)
            if status.st_size > limit:
                raise InvalidArgument(f"a file of the image is larger than {limit} bytes", where=path)
            with open(f"/proc/self/fd/{fd}", "rb") as f:
                return f.read(limit)
        finally:
            os.close(fd)
