"""Freezing and thawing the processes of a cgroup and of those below it."""

from __future__ import annotations

import time
from collections.abc import Callable

from cricket.errors import DeadlineExceeded
from cricket.kernel.cgroup_files import fields, read
from cricket.kernel.cgroup_paths import UNIFIED, Layout, Mode

_PAUSE = 0.001


def freeze(layout: Layout, path: str, timeout: float = 1.0) -> bool | None:
    """Stop all processes; True when they are stopped, False when some still run after `timeout` seconds.

    None when the cgroup is gone or the host has no freezer. Idempotent. Blocks: call it in a thread.
    """
    if layout.mode is Mode.V2:
        file, value = f"{layout.mounts[UNIFIED]}{path}/cgroup.freeze", "1"
        events = f"{layout.mounts[UNIFIED]}{path}/cgroup.events"
        return _write_and_wait(file, value, lambda: (fields(events) or {}).get(b"frozen") == 1, timeout)
    directory = layout.directory("freezer", path)
    if directory is None:
        return None
    file = f"{directory}/freezer.state"
    # A v1 freezer that says FREEZING tries again only when it is written to again.
    return _write_and_wait(file, "FROZEN", lambda: (read(file) or b"").strip() == b"FROZEN", timeout, repeat=True)


def thaw(layout: Layout, path: str, timeout: float = 1.0) -> None:
    """Let the processes go on. Idempotent; a missing cgroup is no error. Raises DeadlineExceeded."""
    if layout.mode is Mode.V2:
        file, value = f"{layout.mounts[UNIFIED]}{path}/cgroup.freeze", "0"
        events = f"{layout.mounts[UNIFIED]}{path}/cgroup.events"
        done = _write_and_wait(file, value, lambda: (fields(events) or {}).get(b"frozen", 0) == 0, timeout)
    else:
        directory = layout.directory("freezer", path)
        if directory is None:
            return
        file = f"{directory}/freezer.state"
        done = _write_and_wait(file, "THAWED", lambda: (read(file) or b"THAWED").strip() == b"THAWED", timeout)
    if done is False:
        raise DeadlineExceeded("a cgroup does not thaw", where=path, todo="Is a cgroup above it frozen?")


def _write_and_wait(
    file: str, value: str, done: Callable[[], bool], timeout: float, repeat: bool = False
) -> bool | None:
    deadline = time.monotonic() + timeout
    if not _write(file, value):
        return None
    while not done():
        if time.monotonic() >= deadline:
            return False
        time.sleep(_PAUSE)
        if repeat and not _write(file, value):
            return None
    return True


def _write(file: str, value: str) -> bool:
    try:
        with open(file, "w") as f:
            f.write(value)
    except OSError:
        return False
    return True
