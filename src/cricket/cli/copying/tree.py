"""A directory as if it were `/`: what lies outside is out of reach, whatever links are in it and whoever changes them.

As openat2(RESOLVE_IN_ROOT) has it, by hand: a component at a time, never through a link that was not read here. What
the kernel's magic links (/proc/1/root) lead to is their text, taken inside.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator

_LINKS = 40
"""As many as the kernel follows."""
_PATH = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC


class Place:
    """Where a path leads: `fd` is what is there (O_PATH, -1: nothing), `parent` and `name` its place; for the root, or
    what `.` and `..` end at, `parent` is -1. Closes with `close`."""

    def __init__(self, parent: int, name: str, fd: int, path: str) -> None:
        self.parent, self.name, self.fd, self.path = parent, name, fd, path
        self.stat = os.fstat(fd) if fd >= 0 else None

    @property
    def mode(self) -> int:
        """st_mode, 0 when nothing is there."""
        return self.stat.st_mode if self.stat else 0

    def reopen(self, flags: int) -> int:
        """The very same file, opened for use: a link that replaced it meanwhile is not followed."""
        return os.open(f"/proc/self/fd/{self.fd}", flags | os.O_CLOEXEC)

    def close(self) -> None:
        """Idempotent."""
        for fd in (self.parent, self.fd):
            if fd >= 0:
                os.close(fd)
        self.parent = self.fd = -1

    def __enter__(self) -> Place:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Leaving(OSError):
    """A path wants out of a tree that does not let it."""

    def __init__(self, path: str) -> None:
        super().__init__(errno.EXDEV, "a link leads out of the directory", path)


class Tree:
    """A directory, which stays open. With `refuse` a way out (`..` at the top, an absolute link) is an error; without
    it leads back to the top, as it does for processes whose root this is."""

    def __init__(self, fd: int, *, refuse: bool = False) -> None:
        self.fd, self._refuse = fd, refuse

    @classmethod
    @contextlib.contextmanager
    def of(cls, path: str, *, refuse: bool = False) -> Iterator[Tree]:
        """The tree below a path of this host. Raises OSError."""
        fd = os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            yield cls(fd, refuse=refuse)
        finally:
            os.close(fd)

    def find(self, path: str, *, follow: bool = True) -> Place:
        """Where `path` leads; what is last need not exist, and is followed when it is a link and `follow`.

        Raises OSError: a directory of the way does not exist or may not be searched, too many links, `Leaving`.
        """
        walk = _Walk(self.fd, path, self._refuse)
        try:
            return walk.go(follow)
        finally:
            walk.close()


class _Walk:
    """One way through a tree. The directories passed stay open, so that `..` needs no question."""

    def __init__(self, root: int, path: str, refuse: bool) -> None:
        self._path, self._refuse, self._links = path, refuse, 0
        self._stack, self._names = [os.dup(root)], list[str]()
        self._todo: list[str] = []
        self._push(path)

    def close(self) -> None:
        while self._stack:
            os.close(self._stack.pop())

    def go(self, follow: bool) -> Place:
        while self._todo:
            name = self._todo.pop()
            if name == "..":
                self._up()
                continue
            last = not self._todo
            try:
                fd = os.open(name, _PATH, dir_fd=self._stack[-1])
            except FileNotFoundError:
                if not last:
                    raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), self._path) from None
                return Place(os.dup(self._stack[-1]), name, -1, self._at(name))
            if self._step(fd, name, last, follow):
                return Place(os.dup(self._stack[-1]), name, fd, self._at(name))
        return Place(-1, "", os.dup(self._stack[-1]), self._at())

    def _step(self, fd: int, name: str, last: bool, follow: bool) -> bool:
        """Whether this is the end; else a link is read or a directory entered."""
        mode = os.fstat(fd).st_mode
        if stat.S_ISLNK(mode) and (follow or not last):
            self._links += 1
            try:
                target = os.readlink("", dir_fd=fd)
            finally:
                os.close(fd)
            if self._links > _LINKS:
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), self._path)
            self._push(target)
            return False
        if last:
            return True
        if not stat.S_ISDIR(mode):
            os.close(fd)
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), self._path)
        self._stack.append(fd)
        self._names.append(name)
        return False

    def _push(self, path: str) -> None:
        if path.startswith("/"):
            if self._refuse:
                raise Leaving(self._path)
            while len(self._stack) > 1:
                self._up()
        self._todo.extend(part for part in reversed(path.split("/")) if part not in ("", "."))

    def _up(self) -> None:
        if len(self._stack) > 1:
            os.close(self._stack.pop())
            self._names.pop()
        elif self._refuse:
            raise Leaving(self._path)

    def _at(self, *name: str) -> str:
        return "/" + "/".join((*self._names, *name))
