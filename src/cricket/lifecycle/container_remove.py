"""RemoveContainer."""

from __future__ import annotations

from cricket.errors import NotFound
from cricket.lifecycle import container_purge, container_stop
from cricket.lifecycle.parts import Parts
from cricket.types.container import ContainerEvent
from cricket.types.event import EventType


async def remove(e: Parts, container_id: str) -> None:
    """Kill it when it runs, then remove it. Idempotent; a missing container is no error."""
    try:
        container = e.store.container(container_id)
    except NotFound:
        return
    await e.ops.join(("remove", container.id), lambda: _remove(e, container.id))


async def _remove(e: Parts, container_id: str) -> None:
    await container_stop.stop(e, container_id, 0)
    async with e.locks.hold(container_id):
        container = e.store.containers.get(container_id)
        if container is None:
            return
        container = container.fire(ContainerEvent.REMOVE)
        e.store.put(container)
        await container_purge.purge(e, container_id)
    e.events.publish(container_id, container.sandbox_id, EventType.DELETED)
