"""Connecting NRI to the verbs."""

from __future__ import annotations

import logging

from cricket.errors import CricketError
from cricket.lifecycle import container_stop
from cricket.lifecycle.container_resources import change
from cricket.lifecycle.parts import Parts
from cricket.types.container import Container
from cricket.types.resources import Resources
from cricket.types.sandbox import Sandbox

log = logging.getLogger(__name__)


async def start_nri(e: Parts) -> None:
    """Serve NRI as configured. Raises Internal when its socket cannot be made."""

    def sync() -> tuple[list[Sandbox], list[Container]]:
        return list(e.store.sandboxes.values()), list(e.store.containers.values())

    async def update(container_id: str, resources: Resources) -> None:
        await change(e, container_id, resources)

    async def evict(container_id: str, reason: str) -> None:
        log.warning("an NRI plugin evicts container %s: %s", container_id, reason)
        try:
            await container_stop.stop(e, container_id, 0)
        except CricketError as error:
            log.error("container %s could not be evicted: %s", container_id, error)

    await e.nri.start(sync, update, spec_of=e.bundles.read, evict=evict)
