"""Which pods and containers the plugins know, so that each hears of a stop and of a removal exactly once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from cricket.types.container import Container, ContainerState
from cricket.types.sandbox import Sandbox, SandboxState

_LISTED_PODS = (SandboxState.READY, SandboxState.STOPPING, SandboxState.STOPPED)
_LISTED = (ContainerState.CREATED, ContainerState.STARTING, ContainerState.RUNNING)
_MANY = 256


class Known:
    """Ids that plugins have been told of, each alive or stopped.

    While no plugin is connected nothing needs to be remembered, but for one thing: objects that are being created and
    whose event has passed. A plugin that joins now gets no event for them any more, so they belong to its
    synchronisation, while those whose event is still to come do not.
    """

    def __init__(self) -> None:
        self._alive: dict[str, bool] = {}
        self._passed: set[str] = set()
        self._many = _MANY

    def passed(self, object_id: str, creating: Callable[[], Iterable[str]]) -> None:
        """The event of an object went by without any plugin; `creating` finds all ids that are being created."""
        self._passed.add(object_id)
        if len(self._passed) > self._many:
            self._passed.intersection_update(creating())
            self._many = max(_MANY, 2 * len(self._passed))

    def add(self, object_id: str) -> None:
        """Plugins are told of an object."""
        self._alive[object_id] = True

    def stop(self, object_id: str) -> bool:
        """Whether plugins are to be told now that the object has stopped."""
        if not self._alive.get(object_id, False):
            return False
        self._alive[object_id] = False
        return True

    def remove(self, object_id: str) -> bool:
        """Whether plugins are to be told now that the object is removed."""
        return self._alive.pop(object_id, None) is not None

    def forget(self) -> None:
        """The last plugin has gone."""
        self._alive.clear()

    def choose(
        self, sandboxes: Sequence[Sandbox], containers: Sequence[Container]
    ) -> tuple[list[Sandbox], list[Container]]:
        """What a joining plugin is told of; it counts as known from then on."""
        pods = [box for box in sandboxes if box.state in _LISTED_PODS or self._under_way(box.id, box.state)]
        chosen = [c for c in containers if c.state in _LISTED or self._under_way(c.id, c.state)]
        for box in pods:
            self._alive.setdefault(box.id, box.state is not SandboxState.STOPPED)
        for container in chosen:
            self._alive.setdefault(container.id, True)
        return pods, chosen

    def _under_way(self, object_id: str, state: SandboxState | ContainerState) -> bool:
        creating = state in (SandboxState.CREATING, ContainerState.CREATING)
        return creating and (object_id in self._alive or object_id in self._passed)
