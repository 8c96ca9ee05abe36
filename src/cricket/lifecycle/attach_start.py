"""Attach: the streams of a container's first process."""

from __future__ import annotations

from cricket.lifecycle.exec_start import running
from cricket.lifecycle.parts import Parts
from cricket.monitor.attach import Attachment, attach
from cricket.types.container import ContainerState
from cricket.types.streams import AttachRequest


async def start(e: Parts, request: AttachRequest) -> Attachment:
    """Connect to the monitor, which is there before the process runs: who attaches then misses nothing. Raises
    NotFound, FailedPrecondition when the container has ended."""
    container = e.store.container(request.container_id)
    if container.state is not ContainerState.CREATED:
        container = running(e, container.id)
    return await attach(e.layout.bundle(container.id), terminal=container.config.tty)
