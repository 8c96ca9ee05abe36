"""Completing what was begun with a sandbox and not ended, again and again until it succeeds."""

from __future__ import annotations

import logging

from cricket.errors import CricketError
from cricket.lifecycle import sandbox_purge, sandbox_remove, sandbox_stop
from cricket.lifecycle.parts import Parts
from cricket.types.sandbox import SandboxState

log = logging.getLogger(__name__)


async def finish(e: Parts, sandbox_id: str) -> None:
    """Complete a failed or unfinished create, a stop, a removal. Never fails: it is tried again later."""
    box = e.store.sandboxes.get(sandbox_id)
    try:
        if box is None:
            pass
        elif box.state is SandboxState.CREATING:
            async with e.locks.hold(sandbox_id):
                await sandbox_purge.purge(e, sandbox_id)
        elif box.state is SandboxState.STOPPING:
            await sandbox_stop.lost(e, sandbox_id)
        elif box.state is SandboxState.REMOVING:
            await sandbox_remove.remove(e, sandbox_id)
    except CricketError as error:
        log.error("sandbox %s could not be cleaned up yet: %s", sandbox_id, error)
        e.retry_later(sandbox_id, lambda: finish(e, sandbox_id))
    else:
        e.retry_no_more(sandbox_id)


async def undo(e: Parts, sandbox_id: str) -> None:
    """Remove a sandbox whose create has failed; the caller holds its lock. What fails is raised, and tried again later.

    The kubelet may never ask for this pod again, and it does not see what is being created.
    """
    try:
        await sandbox_purge.purge(e, sandbox_id)
    except BaseException:
        e.retry_later(sandbox_id, lambda: finish(e, sandbox_id))
        raise
