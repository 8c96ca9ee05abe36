"""Watching configuration directories, those included that do not exist yet."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterable

from cricket.errors import CricketError, NotFound
from cricket.kernel import inotify

_MASK = (
    inotify.CREATE
    | inotify.CLOSE_WRITE
    | inotify.MOVED_TO
    | inotify.MOVED_FROM
    | inotify.DELETE
    | inotify.DELETE_SELF
    | inotify.MOVE_SELF
)
# Installers write several files, and a file is created before it is written: look a moment later, once.
_SETTLE = 0.05


class DirectoryWatch:
    """Calls `changed` (on the loop, coalesced) after something in one of the directories changed or one appeared.

    Of a directory that is missing, the nearest parent that exists is watched. `arm` may be called again with other
    directories at any time; nothing that happens after it returns is missed.
    """

    def __init__(self, changed: Callable[[], None]) -> None:
        self._changed = changed
        self._inotify = inotify.Inotify()
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._directories: tuple[str, ...] = ()
        self._watches: dict[int, set[str] | None] = {}  # names of interest, None for all

    def arm(self, directories: Iterable[str]) -> None:
        """Watch these and no others. Raises ResourceExhausted at the kernel's limit of watches."""
        self._directories = tuple(os.path.abspath(d) for d in directories)
        before, self._watches = self._watches, {}
        for directory in self._directories:
            self._arm_one(directory)
        for wd in before.keys() - self._watches.keys():
            self._inotify.remove(wd)

    def close(self) -> None:
        """Stop. Idempotent."""
        if self._timer is not None:
            self._timer.cancel()
        self._inotify.close()

    def _arm_one(self, directory: str) -> None:
        path, missing = directory, ""
        while True:
            try:
                wd = self._inotify.add(path, _MASK | inotify.ONLYDIR, self._seen)
            except NotFound:
                parent, missing = os.path.split(path)
                if parent == path:
                    return
                path = parent
                continue
            names = self._watches.get(wd, set())
            self._watches[wd] = None if path == directory or names is None else {*names, missing}
            # It may have been made between the look and the watch: then go down again.
            if path == directory or not os.path.isdir(os.path.join(path, missing)):
                return
            path = directory

    def _seen(self, event: inotify.Event) -> None:
        names = self._watches.get(event.wd)
        gone = event.mask & (inotify.IGNORED | inotify.DELETE_SELF | inotify.MOVE_SELF | inotify.Q_OVERFLOW)
        if (gone or names is None or event.name in names) and self._timer is None:
            self._timer = self._loop.call_later(_SETTLE, self._settled)

    def _settled(self) -> None:
        self._timer = None
        try:
            self.arm(self._directories)
        except CricketError as e:
            self._loop.call_exception_handler({"message": "cannot watch CNI configurations", "exception": e})
        self._changed()
