"""RemovePodSandbox."""

from __future__ import annotations

from cricket.errors import NotFound
from cricket.lifecycle import sandbox_purge, sandbox_stop
from cricket.lifecycle.container_remove import remove as remove_container
from cricket.lifecycle.parts import Parts
from cricket.types.event import EventType
from cricket.types.sandbox import SandboxEvent, SandboxState


async def remove(e: Parts, sandbox_id: str) -> None:
    """Stop it, remove its containers, then itself. Idempotent; a missing sandbox is no error."""
    try:
        box = e.store.sandbox(sandbox_id)
    except NotFound:
        return
    await e.ops.join(("remove", box.id), lambda: _remove(e, box.id))


async def _remove(e: Parts, sandbox_id: str) -> None:
    await sandbox_stop.stop(e, sandbox_id)
    for container in e.store.members(sandbox_id):
        await remove_container(e, container.id)
    async with e.locks.hold(sandbox_id):
        box = e.store.sandboxes.get(sandbox_id)
        if box is None or box.state is SandboxState.CREATING:
            return
        box = box.fire(SandboxEvent.REMOVE)
        e.store.put(box)
        await sandbox_purge.purge(e, sandbox_id)
    e.events.publish(sandbox_id, sandbox_id, EventType.DELETED, box)
