"""Mounting: binds, tmpfs, overlays (new mount API, so that many layers fit), idmapped binds; forgiving unmounts."""

from __future__ import annotations

import contextlib
import errno
import os

from cricket.errors import Internal, map_errors
from cricket.kernel import libc
from cricket.types.mount import Mount

MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_REMOUNT = 1, 2, 4, 8, 32
MS_BIND, MS_REC, MS_PRIVATE, MS_SLAVE, MS_SHARED = 4096, 16384, 1 << 18, 1 << 19, 1 << 20
MS_NOATIME, MS_RELATIME, MS_STRICTATIME = 1024, 1 << 21, 1 << 24
MNT_DETACH, UMOUNT_NOFOLLOW = 2, 8

_FLAGS = {
    "ro": MS_RDONLY,
    "nosuid": MS_NOSUID,
    "nodev": MS_NODEV,
    "noexec": MS_NOEXEC,
    "bind": MS_BIND,
    "rbind": MS_BIND | MS_REC,
    "noatime": MS_NOATIME,
    "relatime": MS_RELATIME,
    "strictatime": MS_STRICTATIME,
    "rw": 0,
}
_AT_FDCWD = -100
_FSCONFIG_SET_FLAG, _FSCONFIG_SET_STRING, _FSCONFIG_CMD_CREATE = 0, 1, 6
_MOVE_MOUNT_F_EMPTY_PATH, _AT_EMPTY_PATH = 4, 0x1000
_FSOPEN_CLOEXEC, _FSMOUNT_CLOEXEC = 1, 1
_OPEN_TREE_CLONE, _OPEN_TREE_CLOEXEC, _AT_RECURSIVE = 1, os.O_CLOEXEC, 0x8000
_MOUNT_ATTR_RDONLY, _MOUNT_ATTR_IDMAP = 1, 0x100000


def perform(mount: Mount, target: str) -> None:
    """Mount `mount` at `target`, which must exist. Raises Internal that names both ends."""
    with map_errors(OSError, Internal, f"cannot mount {mount.type} from {mount.source}", where=target):
        if mount.type == "overlay" and mount.lowers:
            _overlay(mount, target)
        else:
            _classic(mount, target)


def _classic(mount: Mount, target: str) -> None:
    flags, data = 0, []
    for option in mount.options:
        if option in _FLAGS:
            flags |= _FLAGS[option]
        else:
            data.append(option)
    if mount.type == "bind":
        flags |= MS_BIND
    libc.mount(mount.source, target, mount.type, flags, ",".join(data))
    if flags & MS_BIND and flags & MS_RDONLY:
        # The kernel ignores flags on the bind itself; they take effect on a remount.
        libc.mount("none", target, "none", (flags & ~MS_REC) | MS_REMOUNT, "")


def _overlay(mount: Mount, target: str) -> None:
    try:
        _overlay_by_fsconfig(mount, target)
    except OSError as e:
        # Kernels before 6.5 know no "lowerdir+"; a page of options is enough for a few dozen layers.
        if e.errno not in (errno.EINVAL, errno.ENOSYS):
            raise
        _overlay_by_string(mount, target)


def _overlay_by_string(mount: Mount, target: str) -> None:
    options = ["lowerdir=" + ":".join(_escaped(path, ",:") for path in mount.lowers)]
    if mount.upper:
        options += [f"upperdir={_escaped(mount.upper, ',')}", f"workdir={_escaped(mount.work, ',')}"]
    flags = sum(_FLAGS.get(o, 0) for o in mount.options)
    options += [o for o in mount.options if o not in _FLAGS]
    libc.mount("overlay", target, "overlay", flags, ",".join(options))


def _escaped(path: str, special: str) -> str:
    return "".join(f"\\{c}" if c == "\\" or c in special else c for c in path)


def _overlay_by_fsconfig(mount: Mount, target: str) -> None:
    fs = libc.syscall(libc.SYS_FSOPEN, b"overlay", _FSOPEN_CLOEXEC, what="fsopen")
    try:

        def put(key: str, value: str) -> None:
            libc.syscall(libc.SYS_FSCONFIG, fs, _FSCONFIG_SET_STRING, key.encode(), value.encode(), 0, what=key)

        put("source", "overlay")
        for lower in mount.lowers:
            put("lowerdir+", lower)
        if mount.upper:
            put("upperdir", mount.upper)
            put("workdir", mount.work)
        for option in mount.options:
            if option in _FLAGS:
                continue
            key, _, value = option.partition("=")
            if value:
                put(key, value)
            else:
                libc.syscall(libc.SYS_FSCONFIG, fs, _FSCONFIG_SET_FLAG, key.encode(), None, 0, what=key)
        libc.syscall(libc.SYS_FSCONFIG, fs, _FSCONFIG_CMD_CREATE, None, None, 0, what="overlay create")
        attributes = _MOUNT_ATTR_RDONLY if "ro" in mount.options else 0
        tree = libc.syscall(libc.SYS_FSMOUNT, fs, _FSMOUNT_CLOEXEC, attributes, what="fsmount")
    finally:
        os.close(fs)
    _move(tree, target)


def _move(tree: int, target: str) -> None:
    try:
        libc.syscall(
            libc.SYS_MOVE_MOUNT, tree, b"", _AT_FDCWD, target.encode(), _MOVE_MOUNT_F_EMPTY_PATH, what="move_mount"
        )
    finally:
        os.close(tree)


def bind(source: str, target: str, *, readonly: bool = False, recursive: bool = False) -> None:
    """Bind-mount `source` at `target`; both must exist. Raises Internal."""
    options = ("rbind" if recursive else "bind", "ro" if readonly else "rw")
    perform(Mount(type="bind", source=source, options=options), target)


def bind_idmapped(source: str, target: str, userns_path: str, *, recursive: bool = True) -> None:
    """Bind `source` at `target` with the ids mapped through a user namespace (`userns_path`, a pin or /proc/N/ns/user).

    Raises Internal, also when the file system of `source` cannot be id-mapped.
    """
    with map_errors(OSError, Internal, f"cannot id-map the mount of {source}", where=target):
        flags = _OPEN_TREE_CLONE | _OPEN_TREE_CLOEXEC | (_AT_RECURSIVE if recursive else 0)
        tree = libc.syscall(libc.SYS_OPEN_TREE, _AT_FDCWD, source.encode(), flags, what="open_tree", path=source)
        try:
            userns = os.open(userns_path, os.O_RDONLY | os.O_CLOEXEC)
            try:
                attributes = libc.buffer(_MOUNT_ATTR_IDMAP, 0, 0, userns)
                how = _AT_EMPTY_PATH | (_AT_RECURSIVE if recursive else 0)
                libc.syscall(libc.SYS_MOUNT_SETATTR, tree, b"", how, attributes, len(attributes), what="mount_setattr")
            finally:
                os.close(userns)
        except BaseException:
            os.close(tree)
            raise
        _move(tree, target)


def set_propagation(target: str, flag: int) -> None:
    """Make a mount private, slave or shared (MS_PRIVATE ..., or-ed with MS_REC). Raises Internal."""
    with map_errors(OSError, Internal, "cannot change mount propagation", where=target):
        libc.mount("none", target, "none", flag, "")


def unmount(target: str) -> None:
    """Unmount everything stacked at `target`, lazily when busy. What is not mounted or missing is no error."""
    with map_errors(OSError, Internal, "cannot unmount", where=target):
        for _ in range(64):
            try:
                libc.umount2(target, UMOUNT_NOFOLLOW)
            except OSError as e:
                if e.errno == errno.EBUSY:
                    libc.umount2(target, MNT_DETACH | UMOUNT_NOFOLLOW)
                elif e.errno in (errno.EINVAL, errno.ENOENT):
                    return
                else:
                    raise


def unmount_below(directory: str) -> None:
    """Unmount everything at or below `directory`, deepest first. Idempotent."""
    prefix = directory.rstrip("/") + "/"
    found = [p for p in mount_points() if p == directory or p.startswith(prefix)]
    for point in sorted(found, key=len, reverse=True):
        unmount(point)


def mount_points() -> list[str]:
    """Every mount point of this mount namespace, in mount order."""
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape", newline="\n") as f:
        return [_unescape(line.split(" ", 5)[4]) for line in f]


def _unescape(text: str) -> str:
    if "\\" not in text:
        return text
    for code, char in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        text = text.replace(code, char)
    return text


def is_mounted(path: str) -> bool:
    """Whether something is mounted exactly at `path`."""
    with contextlib.suppress(OSError):
        return os.stat(path).st_dev != os.stat(os.path.dirname(path)).st_dev or path in mount_points()
    return False
