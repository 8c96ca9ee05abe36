"""UpdateContainerResources."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from cricket.lifecycle import nri_updates
from cricket.lifecycle.container_resources import change
from cricket.lifecycle.parts import Parts
from cricket.types.resources import Resources


async def update(e: Parts, container_id: str, resources: Resources, annotations: Mapping[str, str]) -> None:
    """Change the limits of a created or running container; what is unset stays. On failure nothing changed."""
    container = e.store.container(container_id)
    box = e.store.sandboxes.get(container.sandbox_id)
    if not e.nri.active or box is None:
        await change(e, container.id, resources)
        return
    others: Sequence[tuple[str, Resources]]
    resources, others = await e.nri.update_container(box, container, resources)
    container = await change(e, container.id, resources)
    await nri_updates.apply(e, others)
    await e.nri.post_update(box, container)
