"""Exit files: conmon writes the exit code to DIR/ID; inotify tells, nothing polls."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable

from cricket.kernel import inotify
from cricket.kernel.files import make_dir

ExitCallback = Callable[[str, int, int], None]


class ExitWatch:
    """Calls back with (container id, exit code, time in Unix nanoseconds) for each new exit file."""

    def __init__(self, directory: str, callback: ExitCallback) -> None:
        self.directory, self._callback = directory, callback
        self._inotify: inotify.Inotify | None = None

    def start(self) -> None:
        """Begin to watch. Exits of the past are asked for with `read`."""
        make_dir(self.directory, 0o700)
        self._inotify = inotify.Inotify()
        self._inotify.add(self.directory, inotify.MOVED_TO | inotify.CLOSE_WRITE, self._on_event)

    def stop(self) -> None:
        """Stop watching. Idempotent."""
        if self._inotify is not None:
            self._inotify.close()
            self._inotify = None

    def _on_event(self, event: inotify.Event) -> None:
        names = [event.name] if event.name else os.listdir(self.directory)
        for name in names:
            found = self.read(name)
            if found is not None:
                self._callback(name, *found)

    def read(self, container_id: str) -> tuple[int, int] | None:
        """(exit code, Unix nanoseconds) when the container has exited, else None."""
        path = os.path.join(self.directory, container_id)
        try:
            with open(path, "rb") as f:
                text, when = f.read(32), os.fstat(f.fileno()).st_mtime_ns
            return int(text), when
        except (OSError, ValueError):
            # Temporary names of an atomic write, and files still empty, are no exits yet.
            return None

    def forget(self, container_id: str) -> None:
        """Remove the exit file. Idempotent."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(os.path.join(self.directory, container_id))


def saw_oom(bundle: str) -> bool:
    """Whether conmon has seen the kernel run out of memory for the container: it leaves a file in the bundle.

    On v2 it reads memory.events, where it takes `oom` (the limit was reached for good) and `oom_kill` for the same.
    """
    return os.path.exists(os.path.join(bundle, "oom"))
