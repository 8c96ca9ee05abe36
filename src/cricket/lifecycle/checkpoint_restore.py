"""Restoring a container from a checkpoint archive."""

from __future__ import annotations

import msgspec

from cricket.errors import Unimplemented
from cricket.lifecycle.parts import Parts
from cricket.types.container import Container, ContainerConfig


class Restored(msgspec.Struct, frozen=True):
    """A recognised checkpoint."""

    config: ContainerConfig


async def recognise(e: Parts, config: ContainerConfig) -> Restored | None:
    """None unless the image names a checkpoint archive."""
    return None


async def prepare(e: Parts, container: Container, restored: Restored) -> Container:
    """Unpack it."""
    raise Unimplemented("restore")
