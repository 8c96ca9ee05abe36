"""Removing a container by its id: the same code after a failed create, a crash and a remove."""

from __future__ import annotations

import asyncio

from cricket.kernel.effects import effect
from cricket.kernel.files import remove_tree
from cricket.lifecycle import container_release
from cricket.lifecycle.parts import Parts


async def purge(e: Parts, container_id: str) -> None:
    """Remove everything that bears the id, the record last. Idempotent; the record outlives a failure."""
    container = e.store.containers.get(container_id)
    if container is None:
        return
    if e.nri.active and (box := e.store.sandboxes.get(container.sandbox_id)):
        await e.nri.remove_container(box, container)
    e.processes.forget(container_id)
    await container_release.release(e, container)
    e.exits.forget(container_id)
    await asyncio.to_thread(remove_files, e, container_id, len(container.config.mounts))
    e.store.delete(container)
    e.on_removed(container_id)


def remove_files(e: Parts, container_id: str, volumes: int) -> None:
    """Remove the root file system, the image volumes' views, the bundle and an unpacked checkpoint. Idempotent."""
    e.snapshots.remove(container_id)
    effect("remove snapshot")
    for index in range(volumes):
        e.snapshots.remove(volume_key(container_id, index))
    remove_tree(e.layout.bundle(container_id))
    effect("remove bundle")
    remove_tree(e.layout.checkpoint(container_id))


def volume_key(container_id: str, index: int) -> str:
    """The snapshot key of the image volume at mount number `index`."""
    return f"{container_id}-v{index}"
