"""Namespaces pinned by bind mounts, so that a sandbox needs no process; and work done inside a network namespace."""

from __future__ import annotations

import asyncio
import errno
import os
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeVar

from cricket.errors import Internal, InvalidArgument, map_errors
from cricket.kernel import libc, mounts
from cricket.kernel.process import run, spawn

T = TypeVar("T")

CLONE_FLAGS = {"net": 0x40000000, "ipc": 0x08000000, "uts": 0x04000000, "user": 0x10000000, "pid": 0x20000000}
_HELPER_FLAGS = {"net": "--net", "ipc": "--ipc", "uts": "--uts", "user": "--user"}
_TIMEOUT = 10.0
_REFUSED = (errno.ENOENT, errno.EINVAL, errno.EISDIR, errno.ERANGE, errno.ENOTDIR)


def _in_thread(fn: Callable[[], T]) -> T:
    """Run `fn` in a thread of its own: namespaces it enters end with the thread, so there is no way back to botch."""
    box: list[T] = []
    failure: list[BaseException] = []

    def body() -> None:
        try:
            box.append(fn())
        except BaseException as e:  # handed over to the caller, whatever it is
            failure.append(e)

    thread = threading.Thread(target=body, name="namespace", daemon=True)
    thread.start()
    thread.join()
    if failure:
        raise failure[0]
    return box[0]


def _touch(path: str) -> None:
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o444))


def pin_namespaces(paths: Mapping[str, str], *, hostname: str = "", sysctls: Mapping[str, str] | None = None) -> None:
    """Create new namespaces and bind-mount each at its path; blocks for about a millisecond.

    `paths` maps "net", "ipc", "uts" to files to be made. The hostname and sysctls are set inside. On failure nothing
    stays pinned. Raises Internal.
    """

    def body() -> None:
        flags = 0
        for kind in paths:
            flags |= CLONE_FLAGS[kind]
        libc.unshare(flags)
        if hostname and "uts" in paths:
            libc.sethostname(hostname)
        write_sysctls(sysctls or {})
        for kind, path in paths.items():
            _touch(path)
            libc.mount(f"/proc/thread-self/ns/{kind}", path, "none", mounts.MS_BIND, "")

    try:
        with map_errors(OSError, Internal, "cannot create namespaces", where=", ".join(paths)):
            _in_thread(body)
    except BaseException:
        unpin(paths.values())
        raise


def set_up_pinned(paths: Mapping[str, str], *, hostname: str = "", sysctls: Mapping[str, str] | None = None) -> None:
    """Set hostname and sysctls inside namespaces that are pinned already; blocks. `paths` as for `pin_namespaces`.

    The calling thread must be a throw-away one (`netns_thread.in_own_thread`), as it stays in there. Raises
    InvalidArgument for sysctls as `write_sysctls` does, Internal.
    """
    with map_errors(OSError, Internal, "cannot set up namespaces", where=", ".join(paths.values())):
        for kind, path in paths.items():
            if kind == "uts" or sysctls:
                _enter(path, CLONE_FLAGS[kind])
        if hostname and "uts" in paths:
            libc.sethostname(hostname)
    write_sysctls(sysctls or {})


def pin_of_process(pid: int, kind: str, path: str) -> None:
    """Bind-mount the namespace that a process is in at `path`. Raises Internal; then nothing stays pinned."""
    try:
        with map_errors(OSError, Internal, f"cannot pin the {kind} namespace of process {pid}", where=path):
            _touch(path)
            libc.mount(f"/proc/{pid}/ns/{kind}", path, "none", mounts.MS_BIND, "")
    except BaseException:
        unpin([path])
        raise


async def pin_user_namespaces(
    paths: Mapping[str, str],
    uid_map: Sequence[tuple[int, int, int]],
    gid_map: Sequence[tuple[int, int, int]],
    *,
    hostname: str = "",
    sysctls: Mapping[str, str] | None = None,
) -> None:
    """As `pin_namespaces`, with a user namespace that owns the others.

    The maps hold (container id, host id, length). unshare(CLONE_NEWUSER) fails in a process with threads, hence
    util-linux' `unshare` as a short-lived helper. Raises Internal.
    """
    kinds = [_HELPER_FLAGS[k] for k in paths]
    in_r, in_w = os.pipe2(os.O_CLOEXEC)
    out_r, out_w = os.pipe2(os.O_CLOEXEC)
    try:
        child = spawn(["unshare", *kinds, "sh", "-c", "echo; read _"], fds={0: in_r, 1: out_w})
    except BaseException:
        for fd in (in_r, in_w, out_r, out_w):
            os.close(fd)
        raise
    os.close(in_r)
    os.close(out_w)
    try:
        ready = await asyncio.wait_for(asyncio.to_thread(os.read, out_r, 1), _TIMEOUT)
        if not ready:
            raise Internal("the helper could not unshare its namespaces", where=", ".join(paths))
        with map_errors(OSError, Internal, "cannot set up the user namespace", where=paths["user"]):
            _write_map(f"/proc/{child.pid}/uid_map", uid_map)
            _write_map(f"/proc/{child.pid}/gid_map", gid_map)
            for kind, path in paths.items():
                _touch(path)
                libc.mount(f"/proc/{child.pid}/ns/{kind}", path, "none", mounts.MS_BIND, "")
            if hostname and "uts" in paths:
                _set_hostname(paths["uts"], hostname)
            if sysctls:
                await _write_sysctls_as_root_of(paths, sysctls)
    except BaseException:
        unpin(paths.values())
        raise
    finally:
        os.close(in_w)
        child.kill()
        await child.wait()
        os.close(out_r)


def _write_map(path: str, mapping: Sequence[tuple[int, int, int]]) -> None:
    with open(path, "w") as f:
        f.write("".join(f"{inside} {outside} {length}\n" for inside, outside, length in mapping))


def _set_hostname(path: str, hostname: str) -> None:
    def body() -> None:
        _enter(path, CLONE_FLAGS["uts"])
        libc.sethostname(hostname)

    _in_thread(body)


async def _write_sysctls_as_root_of(paths: Mapping[str, str], sysctls: Mapping[str, str]) -> None:
    """IPC and UTS sysctls may be written only by the root of the user namespace that owns them, hence nsenter."""
    script = 'while [ $# -gt 0 ]; do printf %s "$2" > "/proc/sys/$1" || exit 1; shift 2; done'
    enter = [f"--{kind}={path}" for kind, path in paths.items()]
    words = [w for key, value in sysctls.items() for w in (_sysctl_path(key), value)]
    result = await run(["nsenter", *enter, "-S", "0", "-G", "0", "sh", "-c", script, "sh", *words], timeout=_TIMEOUT)
    if result.code:
        raise Internal(f"cannot set sysctls {', '.join(sysctls)}: {result.error_text}", where=paths["user"])


def _sysctl_path(key: str) -> str:
    return key if "/" in key else key.replace(".", "/")


def write_sysctls(sysctls: Mapping[str, str]) -> None:
    """Write sysctls ("net.ipv4.ip_forward") in the namespaces of the calling thread.

    Raises InvalidArgument for one that this kernel does not have, or a value that it refuses; Internal.
    """
    for key, value in sysctls.items():
        path, what = "/proc/sys/" + _sysctl_path(key), f"cannot set sysctl {key[:200]} to {value[:200]!r}"
        try:
            with open(path, "w") as f:
                f.write(value)
        except OSError as error:
            kind = InvalidArgument if error.errno in _REFUSED else Internal
            raise kind(what, where=path) from error


def _enter(path: str, kind: int) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        libc.setns(fd, kind)
    finally:
        os.close(fd)


def in_netns(path: str, fn: Callable[[], T]) -> T:
    """Run `fn` in a thread inside the network namespace at `path`; blocks. Raises Internal when it is gone."""

    def body() -> T:
        with map_errors(OSError, Internal, "cannot enter the network namespace", where=path):
            _enter(path, CLONE_FLAGS["net"])
        return fn()

    return _in_thread(body)


def unpin(paths: Iterable[str]) -> None:
    """Unmount and remove pins. Idempotent."""
    for path in paths:
        mounts.unmount(path)
        if os.path.exists(path):
            os.unlink(path)


def is_pinned(path: str) -> bool:
    """Whether a namespace is still mounted at `path` (after a reboot only an empty file or nothing is there)."""
    try:
        return os.stat(path).st_dev == _nsfs_device()
    except OSError:
        return False


def _nsfs_device() -> int:
    return os.stat("/proc/self/ns/net").st_dev
