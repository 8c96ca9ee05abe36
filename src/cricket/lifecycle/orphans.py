"""Sweeping what no record names: left by power loss, when the records are older than the files, or by a death while
a warm sandbox was made or taken apart.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Awaitable

from cricket.errors import CricketError
from cricket.kernel import mounts
from cricket.kernel.files import remove_tree
from cricket.lifecycle.parts import Parts
from cricket.network.attachment import IFNAME

log = logging.getLogger(__name__)


async def sweep(e: Parts) -> None:
    """Remove attachments, directories, snapshots, runtime state and exit files without a record. Never fails."""
    known = {*e.store.sandboxes, *e.store.containers, *e.warm.ids()}
    await _networks(e)
    for parent in (e.layout.sandboxes(), e.layout.containers()):
        for name in _entries(parent):
            if name not in known:
                await _try(f"{parent}/{name}", _remove_directory(f"{parent}/{name}"))
    for handler in e.handlers.all():
        for name in _entries(handler.runtime.root):
            if len(name) == 64 and name not in known:
                await _try(name, handler.runtime.delete(name, force=True))
    for key in (snapshot.key for snapshot in e.snapshots.list_active()):
        if key.partition("-")[0] not in known:
            await _try(key, asyncio.to_thread(e.snapshots.remove, key))
    for name in _entries(e.layout.exits):
        if name not in known:
            e.exits.forget(name)


async def _networks(e: Parts) -> None:
    """Give back addresses, while the namespaces are still there: without them some plugins leave rules behind."""
    try:
        await e.network.gc([(sandbox_id, IFNAME) for sandbox_id in (*e.store.sandboxes, *e.warm.ids())])
    except CricketError as error:
        log.error("cannot sweep the networks: %s", error)


def _entries(directory: str) -> list[str]:
    try:
        return os.listdir(directory)
    except OSError:
        return []


async def _remove_directory(path: str) -> None:
    mounts.unmount_below(path)
    await asyncio.to_thread(remove_tree, path)


async def _try(what: str, step: Awaitable[object]) -> None:
    log.warning("removing %s, which no record names", what)
    try:
        await step
    except CricketError as error:
        log.error("cannot remove %s: %s", what, error)
