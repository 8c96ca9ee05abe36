"""ReopenContainerLog."""

from __future__ import annotations

from cricket.errors import FailedPrecondition
from cricket.lifecycle.parts import Parts
from cricket.monitor.conmon import reopen_log
from cricket.types.container import ContainerState


async def reopen(e: Parts, container_id: str) -> None:
    """Have the monitor open the log path anew (after a rotation). Raises FailedPrecondition unless it runs."""
    container = e.store.container(container_id)
    if container.state is not ContainerState.RUNNING:
        raise FailedPrecondition(f"the container is {container.state}, not running", where=container.id)
    if container.log_path:
        await reopen_log(e.layout.bundle(container.id), container.log_path)
