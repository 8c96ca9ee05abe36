"""Lifecycle events, as GetContainerEvents streams them."""

from __future__ import annotations

from enum import IntEnum

import msgspec


class EventType(IntEnum):
    """CRI `ContainerEventType`, same numbers."""

    CREATED = 0
    STARTED = 1
    STOPPED = 2
    DELETED = 3


class Event(msgspec.Struct, frozen=True):
    """What happened to a container, or to a sandbox (then both ids are the sandbox's). Time in Unix ns."""

    container_id: str
    sandbox_id: str
    type: EventType
    timestamp: int
