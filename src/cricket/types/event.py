"""Lifecycle events, as GetContainerEvents streams them."""

from __future__ import annotations

from enum import IntEnum

import msgspec

from cricket.types.sandbox import Sandbox


class EventType(IntEnum):
    """CRI `ContainerEventType`, same numbers."""

    CREATED = 0
    STARTED = 1
    STOPPED = 2
    DELETED = 3


class Event(msgspec.Struct, frozen=True):
    """What happened to a container, or to a sandbox (then both ids are the sandbox's). Time in Unix ns.

    `sandbox` is the last record of a sandbox that is gone (DELETED); else readers take the record that is current.
    """

    container_id: str
    sandbox_id: str
    type: EventType
    timestamp: int
    sandbox: Sandbox | None = None
