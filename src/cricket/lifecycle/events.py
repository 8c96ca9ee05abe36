"""The event bus behind GetContainerEvents."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator

from cricket.types.event import Event, EventType
from cricket.types.sandbox import Sandbox

log = logging.getLogger(__name__)
_DEPTH = 1000


class EventBus:
    """Fan-out to any number of readers; a reader that falls 1000 events behind loses the oldest."""

    def __init__(self) -> None:
        self._queues: dict[asyncio.Queue[Event], bool] = {}  # and whether its reader has been complained of
        self._last = 0

    def publish(self, container_id: str, sandbox_id: str, kind: EventType, sandbox: Sandbox | None = None) -> None:
        """Tell all readers; never waits. Timestamps strictly increase. `sandbox` is the record of one now gone."""
        if not self._queues:
            return
        self._last = max(time.time_ns(), self._last + 1)
        event = Event(container_id, sandbox_id, kind, self._last, sandbox)
        for queue in self._queues:
            late = queue.full()
            if late:
                queue.get_nowait()
                if not self._queues[queue]:
                    log.warning("a reader of container events is too slow; it loses the oldest ones")
            self._queues[queue] = late
            queue.put_nowait(event)

    async def subscribe(self) -> AsyncIterator[Event]:
        """Events from now on, until the reader stops."""
        queue: asyncio.Queue[Event] = asyncio.Queue(_DEPTH)
        self._queues[queue] = False
        try:
            while True:
                yield await queue.get()
        finally:
            self._queues.pop(queue, None)
