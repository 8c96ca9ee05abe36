"""Attach: the streams of a container's first process."""

from __future__ import annotations

from cricket.lifecycle.exec_start import running
from cricket.lifecycle.parts import Parts
from cricket.monitor.attach import Attachment, attach
from cricket.types.streams import AttachRequest


async def start(e: Parts, request: AttachRequest) -> Attachment:
    """Connect to the monitor. Raises NotFound, FailedPrecondition when the container does not run."""
    container = running(e, request.container_id)
    return await attach(e.layout.bundle(container.id), terminal=container.config.tty)
