"""Log rotation: a log that is too long becomes LOG.DATE, the container writes on into a new file (logs/
container_log_manager.go). Dead containers are removed by the plans of their pods (actions.py)."""

from __future__ import annotations

import asyncio
import contextlib
import glob
import gzip
import logging
import os
import shutil
import time

from cricket.client.errors import RemoteError
from cricket.kubelet.loop_records import State
from cricket.kubelet.worker_parts import Parts

log = logging.getLogger("cricket.kubelet")


async def rotate_logs(parts: Parts) -> None:
    """Rotate what is longer than the limit. One that fails is told and tried again the next time."""
    for uid in parts.observer.uids():
        for record in parts.observer.records(uid).containers:
            if record.state is State.RUNNING and record.log_path and _size(record.log_path) > parts.settings.log_size:
                await _rotate(parts, record.id, record.log_path)


def remove_logs(path: str) -> None:
    """Remove the log of a container that is removed, with what was rotated. Idempotent. Blocks."""
    if not path:
        return
    for found in (path, *glob.glob(f"{glob.escape(path)}.*")):
        with contextlib.suppress(OSError):
            os.unlink(found)


async def _rotate(parts: Parts, container_id: str, path: str) -> None:
    stamp = time.strftime("%Y%m%d-%H%M%S", time.gmtime())
    moved = f"{path}.{stamp}"
    if os.path.exists(moved):
        return  # twice in a second: the next time
    try:
        await asyncio.to_thread(prune, path, parts.settings.log_files)
        os.rename(path, moved)
    except OSError as error:
        log.warning("the log %s cannot be rotated: %s", path, error)
        return
    try:
        await parts.cri.call("ReopenContainerLog", container_id=container_id)
    except RemoteError as error:
        log.warning("the log %s cannot be reopened: %s", path, error)
        with contextlib.suppress(OSError):
            if not os.path.exists(path):
                os.rename(moved, path)


def prune(path: str, files: int) -> None:
    """Compress what was rotated before, and remove the oldest, so that with the next rotation `files` are left."""
    directory, name = os.path.split(path)
    old = sorted(
        entry for entry in os.listdir(directory) if entry.startswith(f"{name}.") and not entry.endswith(".tmp")
    )
    # The current file, and the one that it becomes.
    for entry in old[: max(0, len(old) - (files - 2))]:
        os.unlink(os.path.join(directory, entry))
    for entry in old[max(0, len(old) - (files - 2)) :]:
        if not entry.endswith(".gz"):
            _compress(os.path.join(directory, entry))


def _compress(path: str) -> None:
    with open(path, "rb") as source, gzip.open(f"{path}.tmp", "wb", 6) as target:
        shutil.copyfileobj(source, target)
    os.replace(f"{path}.tmp", f"{path}.gz")
    os.unlink(path)


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except OSError:
        return 0
