"""GetContainerEvents."""

from __future__ import annotations

from collections.abc import AsyncIterator

from cricket._proto.cri import api_pb2 as pb
from cricket.cri.fields import wire
from cricket.cri.servicer import Servicer
from cricket.errors import NotFound
from cricket.types.event import Event
from cricket.types.sandbox import Sandbox

_SANDBOX, _CONTAINERS = 4, 5
"""Field numbers of ContainerEventResponse."""


class EventRpcs(Servicer):
    """Events."""

    async def GetContainerEvents(self, request: pb.GetEventsRequest) -> AsyncIterator[bytes]:
        """Events from now on, each with the state of its whole sandbox, so that the kubelet need not ask."""
        async for event in self.engine.node.events():
            yield self._event_message(event)

    def _event_message(self, event: Event) -> bytes:
        head = pb.ContainerEventResponse(
            container_id=event.container_id, container_event_type=wire(event.type), created_at=event.timestamp
        )
        parts: list[bytes] = [head.SerializeToString()]
        box = self._event_sandbox(event)
        if box is not None:
            statuses = self.views.container_statuses
            parts.append(self.views.sandbox_statuses.element(box, _SANDBOX))
            parts += [statuses.element(c, _CONTAINERS) for c in self.views.containers_of(box.id)]
        return b"".join(parts)

    def _event_sandbox(self, event: Event) -> Sandbox | None:
        try:
            return self.engine.sandboxes.get(event.sandbox_id)
        except NotFound:
            return event.sandbox
