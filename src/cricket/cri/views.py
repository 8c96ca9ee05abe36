"""What lists and statuses are answered from: the engine's records in memory, and their serialised forms."""

from __future__ import annotations

from cricket.cri.convert_container import container_item, container_status
from cricket.cri.convert_image import image_item
from cricket.cri.convert_sandbox import sandbox_item, sandbox_status
from cricket.cri.engine import Engine
from cricket.cri.filters import visible_containers, visible_sandboxes
from cricket.cri.framing import ItemCache
from cricket.errors import NotFound
from cricket.types.container import Container, ContainerState
from cricket.types.sandbox import Sandbox, SandboxState


class Views:
    """Records as CRI may see them, with caches of their bytes. Nothing here waits."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.sandbox_items = ItemCache(sandbox_item)
        self.sandbox_statuses = ItemCache(sandbox_status)
        self.container_items = ItemCache(container_item)
        self.container_statuses = ItemCache(container_status)
        self.image_items = ItemCache(image_item)

    def sandboxes(self) -> list[Sandbox]:
        """All that are visible."""
        records = visible_sandboxes(self._engine.sandboxes.list())
        self.sandbox_items.prune(records)
        self.sandbox_statuses.prune(records)
        return records

    def containers(self) -> list[Container]:
        """All that are visible."""
        records = visible_containers(self._engine.containers.list())
        self.container_items.prune(records)
        self.container_statuses.prune(records)
        return records

    def sandbox(self, sandbox_id: str) -> Sandbox:
        """One, by id or unique prefix; NotFound when missing or still being made."""
        box = self._engine.sandboxes.get(sandbox_id)
        if box.state is SandboxState.CREATING:
            raise NotFound("the sandbox is not ready yet", where=sandbox_id)
        return box

    def container(self, container_id: str) -> Container:
        """One, by id or unique prefix; NotFound when missing or still being made."""
        container = self._engine.containers.get(container_id)
        if container.state is ContainerState.CREATING:
            raise NotFound("the container is not made yet", where=container_id)
        return container

    def containers_of(self, sandbox_id: str) -> list[Container]:
        """The visible containers of a sandbox, newest first.

        A kubelet with evented PLEG takes the first of a name for the current one and does not sort PodSandboxStatus's.
        """
        return [c for c in reversed(self.containers()) if c.sandbox_id == sandbox_id]
