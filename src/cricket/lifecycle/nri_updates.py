"""Changes to containers that NRI plugins ask for, beside the one that an event is about."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from cricket.errors import CricketError
from cricket.lifecycle.container_resources import change
from cricket.lifecycle.parts import Parts
from cricket.types.container import Container
from cricket.types.resources import Resources

log = logging.getLogger(__name__)


async def apply(e: Parts, updates: Sequence[tuple[str, Resources]]) -> None:
    """Apply them one by one; a failure is logged, as the event that caused it has succeeded."""
    for container_id, resources in updates:
        try:
            await change(e, container_id, resources)
        except CricketError as error:
            log.warning("an NRI plugin's update of container %s failed: %s", container_id, error)


async def stopped(e: Parts, container: Container) -> None:
    """Tell plugins that a container has exited; told once however often this is called."""
    box = e.store.sandboxes.get(container.sandbox_id)
    if e.nri.active and box is not None:
        await apply(e, await e.nri.stop_container(box, container))
