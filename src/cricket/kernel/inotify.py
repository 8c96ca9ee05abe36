"""Watching files by inotify(7): one descriptor on the event loop, no thread and no polling."""

from __future__ import annotations

import asyncio
import ctypes
import os
import struct
from collections.abc import Callable
from typing import NamedTuple

from cricket.errors import CricketError, Internal, NotFound, ResourceExhausted

MODIFY = 0x2
ATTRIB = 0x4
CLOSE_WRITE = 0x8
MOVED_FROM = 0x40
MOVED_TO = 0x80
CREATE = 0x100
DELETE = 0x200
DELETE_SELF = 0x400
MOVE_SELF = 0x800
UNMOUNT = 0x2000
Q_OVERFLOW = 0x4000
IGNORED = 0x8000
ONLYDIR = 0x1000000
ISDIR = 0x40000000

_HEAD = struct.Struct("iIII")
_READ = 64 << 10
_libc = ctypes.CDLL(None, use_errno=True)


class Event(NamedTuple):
    """What happened: the bits of `mask`; `name` is the entry in a watched directory, "" for the watched itself."""

    mask: int
    name: str
    wd: int


class Inotify:
    """A set of watches. Made inside a running loop; every callback runs on that loop and must not block.

    After an overflow of the kernel's queue (`mask` has Q_OVERFLOW, `name` is "") every callback is told, as any of
    them may have lost events: look at the whole directory then. When the watched thing is gone its callback gets
    IGNORED once, and the watch is forgotten.
    """

    def __init__(self) -> None:
        fd = _libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if fd < 0:
            raise _error("cannot make an inotify instance", "")
        self._fd: int = fd
        self._callbacks: dict[int, Callable[[Event], None]] = {}
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(fd, self._read)

    def fileno(self) -> int:
        """The descriptor, -1 after close()."""
        return self._fd

    def add(self, path: str, mask: int, callback: Callable[[Event], None]) -> int:
        """Watch `path` for the events in `mask`; returns the watch descriptor.

        Adding the same file again (also by another path) replaces its mask and callback and returns the same number.
        Raises NotFound when the path does not exist (or is no directory and ONLYDIR was asked for), ResourceExhausted
        at the limit of watches.
        """
        wd: int = _libc.inotify_add_watch(self._fd, os.fsencode(path), ctypes.c_uint32(mask))
        if wd < 0:
            raise _error("cannot watch", path)
        self._callbacks[wd] = callback
        return wd

    def remove(self, wd: int) -> None:
        """Forget a watch. Idempotent; its callback is not called again."""
        if self._callbacks.pop(wd, None) is not None:
            _libc.inotify_rm_watch(self._fd, wd)

    def close(self) -> None:
        """Forget every watch and close the descriptor. Idempotent."""
        if self._fd >= 0:
            self._loop.remove_reader(self._fd)
            os.close(self._fd)
            self._fd = -1
            self._callbacks.clear()

    def _read(self) -> None:
        try:
            data = os.read(self._fd, _READ)
        except BlockingIOError:
            return
        for event in parse(data):
            if event.mask & Q_OVERFLOW:
                for wd, callback in list(self._callbacks.items()):
                    self._call(callback, Event(event.mask, "", wd))
                continue
            wanted = self._callbacks.get(event.wd)
            if event.mask & IGNORED:
                self._callbacks.pop(event.wd, None)
            if wanted is not None:
                self._call(wanted, event)

    def _call(self, callback: Callable[[Event], None], event: Event) -> None:
        # One callback's bug must not lose the events of the others in the same read.
        try:
            callback(event)
        except Exception as e:
            self._loop.call_exception_handler({"message": f"inotify callback failed on {event}", "exception": e})


def parse(data: bytes) -> list[Event]:
    """The events of one read(2): struct inotify_event each, the name padded with NULs."""
    events, at = [], 0
    while at < len(data):
        wd, mask, _cookie, length = _HEAD.unpack_from(data, at)
        at += _HEAD.size
        name = data[at : at + length].split(b"\0", 1)[0]
        at += length
        events.append(Event(mask, os.fsdecode(name), wd))
    return events


def _error(what: str, path: str) -> CricketError:
    number = ctypes.get_errno()
    cause = OSError(number, os.strerror(number))
    error: CricketError
    if isinstance(cause, (FileNotFoundError, NotADirectoryError)):
        error = NotFound(what, where=path)
    elif cause.errno in (24, 28):  # EMFILE, ENOSPC: the user's limits, not the disk
        error = ResourceExhausted(what, where=path, todo="Raise fs.inotify.max_user_instances or max_user_watches")
    else:
        error = Internal(what, where=path)
    error.__cause__ = cause
    return error
