"""File operations that stay below a root directory whatever the tree below it says.

The tree may be hostile: symlinks in it point anywhere, directories have any depth. Symlinks are resolved as chroot(2)
would: "/" and ".." at the top mean the root directory. Paths are bytes or str; relative to the root, leading slashes
are ignored. Nothing here follows /proc magic links.
"""

from __future__ import annotations

import errno
import os
import stat

from cricket.kernel import libc

_RESOLVE_NO_MAGICLINKS, _RESOLVE_NO_SYMLINKS, _RESOLVE_IN_ROOT = 0x02, 0x04, 0x10
_MAX_LINKS = 40
_DIR = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def open_root(path: str) -> int:
    """A descriptor of the root directory itself; the path to it is trusted. Raises OSError."""
    return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)


def open_in_root(root_fd: int, path: str | bytes, flags: int, mode: int = 0, *, symlinks: bool = True) -> int:
    """openat2(2) with RESOLVE_IN_ROOT: open `path` as a process with that root directory would.

    With `symlinks=False` a symlink anywhere in the path is an error (ELOOP). Raises OSError. Linux 5.6.
    """
    raw = os.fsencode(path).lstrip(b"/") or b"."
    resolve = _RESOLVE_IN_ROOT | _RESOLVE_NO_MAGICLINKS | (0 if symlinks else _RESOLVE_NO_SYMLINKS)
    how = libc.buffer(flags | os.O_CLOEXEC, mode, resolve)
    for attempt in range(20):
        try:
            return libc.syscall(libc.SYS_OPENAT2, root_fd, raw, how, len(how), what="openat2", path=os.fsdecode(path))
        except OSError as e:
            # EAGAIN: something was renamed on the way of a "..".
            if e.errno not in (errno.EAGAIN, errno.EINTR) or attempt == 19:
                raise
    raise AssertionError("unreachable")


def read_in_root(root: str, path: str | bytes, limit: int = 1 << 20) -> bytes:
    """The first `limit` bytes of a regular file below `root`. Raises OSError (EINVAL when it is no regular file)."""
    root_fd = open_root(root)
    try:
        fd = open_in_root(root_fd, path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)
    finally:
        os.close(root_fd)
    with open(fd, "rb") as f:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise OSError(errno.EINVAL, "not a regular file", os.fsdecode(path))
        return f.read(limit)


def make_dirs(root_fd: int, path: str | bytes, mode: int = 0o755) -> int:
    """Open the directory `path` below the root, making what is missing, also where a symlink on the way points.

    Returns a descriptor. Raises OSError: ENOTDIR when something on the way is no directory, ELOOP.
    """
    todo = [c for c in reversed(os.fsencode(path).split(b"/")) if c not in (b"", b".")]
    fds, links = [os.dup(root_fd)], 0
    try:
        while todo:
            name = todo.pop()
            if name == b"..":
                if len(fds) > 1:
                    os.close(fds.pop())
                continue
            try:
                fds.append(_enter(fds[-1], name, mode))
                continue
            except OSError as e:
                if e.errno not in (errno.ENOTDIR, errno.ELOOP):
                    raise
            target = _read_link(fds[-1], name)
            links += 1
            if links > _MAX_LINKS:
                raise OSError(errno.ELOOP, "too many symbolic links", os.fsdecode(path))
            if target.startswith(b"/"):
                while len(fds) > 1:
                    os.close(fds.pop())
            todo += [c for c in reversed(target.split(b"/")) if c not in (b"", b".")]
        return fds.pop()
    finally:
        for fd in fds:
            os.close(fd)


def _enter(parent: int, name: bytes, mode: int) -> int:
    try:
        return os.open(name, _DIR, dir_fd=parent)
    except FileNotFoundError:
        try:
            os.mkdir(name, mode, dir_fd=parent)
        except FileExistsError:
            pass
        return os.open(name, _DIR, dir_fd=parent)


def _read_link(parent: int, name: bytes) -> bytes:
    try:
        return os.readlink(name, dir_fd=parent)
    except OSError as e:
        if e.errno == errno.EINVAL:
            raise OSError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), os.fsdecode(name)) from None
        raise


def remove_tree(name: str | bytes, dir_fd: int | None = None) -> None:
    """Remove a file or tree of any depth without following symlinks; what is missing is no error.

    Needs three descriptors whatever the depth. Raises OSError (EBUSY: something is mounted in it).
    """
    try:
        os.unlink(name, dir_fd=dir_fd)
        return
    except FileNotFoundError:
        return
    except (IsADirectoryError, PermissionError):
        pass  # PermissionError is what POSIX, and some file systems, say of a directory
    try:
        fd = os.open(name, _DIR, dir_fd=dir_fd)
    except FileNotFoundError:
        return
    _empty(fd)
    os.rmdir(name, dir_fd=dir_fd)


def _empty(fd: int) -> None:
    """Remove everything below the directory `fd`, and close it."""
    # For each directory on the way down: its name, its identity, and the directories in it that are still to do.
    way: list[tuple[str, tuple[int, int], list[str]]] = []
    try:
        todo = _unlink_files(fd)
        while True:
            if todo:
                name = todo.pop()
                if _rmdir(name, fd):
                    continue
                way.append((name, _identity(fd), todo))
                fd = _swap(fd, os.open(name, _DIR, dir_fd=fd))
                todo = _unlink_files(fd)
            elif way:
                name, identity, todo = way.pop()
                fd = _swap(fd, os.open("..", _DIR, dir_fd=fd))
                if _identity(fd) != identity:
                    raise OSError(errno.EBUSY, "a directory was moved while it was being removed", name)
                os.rmdir(name, dir_fd=fd)
            else:
                return
    finally:
        os.close(fd)


def _unlink_files(fd: int) -> list[str]:
    """Unlink what is no directory; the names of the directories."""
    dirs = []
    with os.scandir(fd) as entries:
        found = [(e.name, e.is_dir(follow_symlinks=False)) for e in entries]
    for name, is_dir in found:
        if is_dir:
            dirs.append(name)
        else:
            try:
                os.unlink(name, dir_fd=fd)
            except FileNotFoundError:
                pass
    return dirs


def _rmdir(name: str, dir_fd: int) -> bool:
    """Remove a directory that is empty or gone; False when there is something in it."""
    try:
        os.rmdir(name, dir_fd=dir_fd)
    except FileNotFoundError:
        pass
    except OSError as e:
        if e.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
        return False
    return True


def _identity(fd: int) -> tuple[int, int]:
    info = os.fstat(fd)
    return info.st_dev, info.st_ino


def _swap(old: int, new: int) -> int:
    os.close(old)
    return new
