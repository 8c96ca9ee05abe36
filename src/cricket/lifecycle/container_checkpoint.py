"""CheckpointContainer."""

from __future__ import annotations

from cricket.errors import Unimplemented
from cricket.lifecycle.parts import Parts


async def checkpoint(e: Parts, container_id: str, location: str, timeout: float) -> None:
    """Write a checkpoint archive."""
    raise Unimplemented("checkpoint")
