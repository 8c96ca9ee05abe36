"""The one door to libc: ctypes with errno turned into OSError. ctypes releases the GIL during each call."""

from __future__ import annotations

import ctypes
import os

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long

# Numbers of the system calls that libc does not wrap; the new mount API has the same numbers on every architecture.
SYS_OPEN_TREE, SYS_MOVE_MOUNT, SYS_FSOPEN, SYS_FSCONFIG, SYS_FSMOUNT = 428, 429, 430, 431, 432
SYS_OPENAT2 = 437
SYS_MOUNT_SETATTR = 442


def check(result: int, what: str, path: str = "") -> int:
    """`result` when it is not negative; otherwise the OSError of errno."""
    if result < 0:
        err = ctypes.get_errno()
        raise OSError(err, f"{what}: {os.strerror(err)}", path or None)
    return result


def syscall(number: int, *args: int | bytes | None, what: str, path: str = "") -> int:
    """A raw system call; bytes are passed as C strings (or buffers), None as a null pointer."""
    converted = [ctypes.c_long(a) if isinstance(a, int) else ctypes.c_char_p(a) for a in args]
    return check(_libc.syscall(ctypes.c_long(number), *converted), what, path)


def mount(source: str, target: str, fstype: str, flags: int, data: str) -> None:
    """mount(2)."""
    check(
        _libc.mount(source.encode(), target.encode(), fstype.encode(), ctypes.c_ulong(flags), data.encode()),
        "mount",
        target,
    )


def umount2(target: str, flags: int) -> None:
    """umount2(2)."""
    check(_libc.umount2(target.encode(), ctypes.c_int(flags)), "umount", target)


def unshare(flags: int) -> None:
    """unshare(2), for the calling thread."""
    check(_libc.unshare(ctypes.c_int(flags)), "unshare")


def setns(fd: int, kind: int) -> None:
    """setns(2), for the calling thread."""
    check(_libc.setns(ctypes.c_int(fd), ctypes.c_int(kind)), "setns")


def sethostname(name: str) -> None:
    """sethostname(2), in the UTS namespace of the calling thread."""
    raw = name.encode()
    check(_libc.sethostname(raw, ctypes.c_size_t(len(raw))), "sethostname")


def syncfs(fd: int) -> None:
    """syncfs(2): write out everything of the file system that `fd` is on."""
    check(_libc.syncfs(ctypes.c_int(fd)), "syncfs")


def kernel_log(size: int) -> bytes:
    """The last `size` bytes of the kernel's log (syslog(2), SYSLOG_ACTION_READ_ALL), which stay there."""
    data = ctypes.create_string_buffer(size)
    length = check(_libc.klogctl(ctypes.c_int(3), data, ctypes.c_int(size)), "syslog")
    return data.raw[:length]


def die_with_parent(sig: int) -> None:
    """Have the kernel send `sig` when the thread that started this process ends (prctl PR_SET_PDEATHSIG)."""
    check(_libc.prctl(ctypes.c_int(1), ctypes.c_ulong(sig), 0, 0, 0), "prctl")


def buffer(*words: int) -> bytes:
    """64-bit words as a C struct in memory."""
    return b"".join(w.to_bytes(8, "little") for w in words)
