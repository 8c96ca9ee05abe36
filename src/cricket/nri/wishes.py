"""What plugins want done to other containers: updates of their resources, and evictions."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from cricket.errors import CricketError
from cricket.nri.from_records import overlay
from cricket.nri.plain import Plain
from cricket.types.container import Container
from cricket.types.resources import Resources

log = logging.getLogger(__name__)

ApplyUpdate = Callable[[str, Resources], Awaitable[None]]
Evict = Callable[[str, str], Awaitable[None]]


class Wishes:
    """Carries out updates and evictions by the callbacks it is given; `containers` lists the records."""

    def __init__(
        self, containers: Callable[[], Sequence[Container]], update: ApplyUpdate, evict: Evict | None = None
    ) -> None:
        self._containers, self._update, self._evict = containers, update, evict
        self._tasks: set[asyncio.Task[None]] = set()

    def resolve(self, updates: Sequence[Plain]) -> list[tuple[str, Resources]]:
        """The resources that each container shall have; containers that have gone are left out."""
        return [(update["container_id"], resources) for update, resources in self._resolved(updates)]

    async def apply(self, updates: Sequence[Plain]) -> list[Plain]:
        """Apply updates one by one; those that failed, without the ones marked so that failure does not matter."""
        failed = []
        for update, resources in self._resolved(updates):
            try:
                await self._update(update["container_id"], resources)
            except CricketError as e:
                log.warning("an NRI plugin's update of container %s failed: %s", update["container_id"], e)
                if not update.get("ignore_failure"):
                    failed.append(update)
        return failed

    def apply_later(self, updates: Sequence[Plain]) -> None:
        """As `apply`, but without waiting: it may need locks that the caller holds."""
        if updates:
            self._spawn(self.apply(updates))

    def evict_later(self, evictions: Sequence[Plain]) -> None:
        """Evict containers, without waiting."""
        for eviction in evictions:
            container_id, reason = eviction.get("container_id", ""), eviction.get("reason", "")
            if self._evict is None:
                log.warning("an NRI plugin wants container %s evicted (%s): not supported", container_id, reason)
            else:
                log.warning("an NRI plugin evicts container %s: %s", container_id, reason)
                self._spawn(self._evict(container_id, reason))

    async def stop(self) -> None:
        """Cancel what is under way. Idempotent."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _resolved(self, updates: Sequence[Plain]) -> list[tuple[Plain, Resources]]:
        if not updates:
            return []
        found = []
        containers = {each.id: each for each in self._containers()}
        for update in updates:
            container_id = update.get("container_id", "")
            if container_id not in containers:
                log.info("an NRI plugin updates container %s, which is not there", container_id)
                continue
            change = update.get("linux", {}).get("resources", {})
            resources, ignored = overlay(containers[container_id].resources, change)
            warn_ignored(container_id, ignored)
            found.append((update, resources))
        return found

    def _spawn(self, work: Awaitable[Any]) -> None:
        async def body() -> None:
            try:
                await work
            except CricketError as e:
                log.warning("what an NRI plugin asked for failed: %s", e)

        task = asyncio.get_running_loop().create_task(body())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def warn_ignored(container_id: str, names: Sequence[str]) -> None:
    """Say which values of an update CRI has no word for."""
    if names:
        log.warning("an NRI plugin's update of container %s: ignored %s", container_id, ", ".join(names))
