"""Sub-paths of volumes: a container may write symlinks into its volume, and none of them leads out of it
(kubelet pkg/volume/util/subpath)."""

from __future__ import annotations

import asyncio
import contextlib
import os
import stat

from cricket.kubelet.failure import CreateContainerConfigError
from cricket.kubelet.volumes import directories, mounting

_OPEN = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC


async def bind(volume: str, sub_path: str, target: str) -> None:
    """Bind what `sub_path` names in the volume to `target`, making directories that are missing with the volume's mode.

    What was bound there before is replaced. The mount is of a descriptor, so that a symlink put there in between
    changes nothing. Raises CreateContainerConfigError for a path that leads out, Internal for a mount that fails.
    """
    await mounting.unmount(target)
    try:
        descriptor = await asyncio.to_thread(open_inside, volume, sub_path)
    except OSError as error:
        raise CreateContainerConfigError(f"failed to prepare subPath {sub_path!r}", where=volume) from error
    try:
        await asyncio.to_thread(_make_target, target, stat.S_ISDIR(os.fstat(descriptor).st_mode))
        source = f"/proc/{os.getpid()}/fd/{descriptor}"
        await mounting.mount("--no-canonicalize", "--bind", source, target, where=target)
    finally:
        os.close(descriptor)


def open_inside(volume: str, sub_path: str) -> int:
    """A descriptor (O_PATH) of what the path names, made if need be, after following symlinks that stay inside. Raises
    CreateContainerConfigError for those that do not, OSError."""
    top = os.path.realpath(volume)
    goal = os.path.realpath(os.path.join(top, sub_path))
    if goal != top and not goal.startswith(top.rstrip("/") + "/"):
        raise CreateContainerConfigError(f"subPath {sub_path!r} leads out of its volume", where=volume)
    current = os.open(top, os.O_PATH | os.O_CLOEXEC)
    try:
        mode = stat.S_IMODE(os.fstat(current).st_mode)
        for part in os.path.relpath(goal, top).split("/"):
            if part == ".":
                continue
            following = _step(current, part, mode)
            os.close(current)
            current = following
            # No symlink was here a moment ago.
            if stat.S_ISLNK(os.fstat(current).st_mode):
                raise CreateContainerConfigError(f"subPath {sub_path!r} leads out of its volume", where=volume)
    except BaseException:
        os.close(current)
        raise
    return current


def _step(parent: int, name: str, mode: int) -> int:
    with contextlib.suppress(FileNotFoundError):
        return os.open(name, _OPEN, dir_fd=parent)
    with contextlib.suppress(FileExistsError):
        os.mkdir(name, 0o700, dir_fd=parent)
        made = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
        try:
            # mkdir's own mode is cut by the umask; the group was inherited from a set-gid directory.
            os.fchmod(made, mode)
        finally:
            os.close(made)
    return os.open(name, _OPEN, dir_fd=parent)


def _make_target(target: str, directory: bool) -> None:
    directories.make_private(os.path.dirname(target))
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        if os.path.isdir(target) != directory:
            os.rmdir(target) if os.path.isdir(target) else os.unlink(target)
    if directory:
        directories.make_private(target)
    elif not os.path.exists(target):
        os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o640))
