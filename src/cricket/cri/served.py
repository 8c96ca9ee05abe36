"""What all connections of a server share: its methods, and limits on what clients may make it hold."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from cricket.cri.methods import Kind
from cricket.errors import Code
from cricket.wire.grpc_messages import Refused

if TYPE_CHECKING:
    from cricket.cri.connection import Connection

MAX_CALLS = 4000
"""Calls at a time that take time, of all clients; what comes after is refused with ResourceExhausted."""
MAX_CONNECTIONS = 500
MAX_QUEUED = 256 << 20
"""Bytes of answers that may wait for all clients together to read them."""

_TOO_MUCH = Refused(Code.RESOURCE_EXHAUSTED, "too many large requests come in at a time")
_READ_SIZE = 32 << 10
"""Bytes that are taken from a client before it is others' turn: some milliseconds' work, whatever they are."""

Send = Callable[[bytes], Awaitable[None]]


class Route(NamedTuple):
    """How a method is served: READ by a function of the request's bytes, giving bytes or a Refusal; STREAM by a
    coroutine function of the bytes and of `Send`, giving None or a Refusal; the others by a coroutine function of the
    bytes. `abandoned` is called when the caller of a VERB goes away before its end."""

    kind: Kind
    serve: Callable[..., Any]
    abandoned: Callable[[], None]


class Served:
    """The server as its connections see it."""

    def __init__(self, routes: Mapping[bytes, Route], request_limit: int) -> None:
        self.routes, self.request_limit = routes, request_limit
        self.connections: OrderedDict[Connection, None] = OrderedDict()
        """Those that were silent longest come first."""
        self.tasks: set[asyncio.Task[None]] = set()
        """Of calls under way, and of verbs whose callers went away."""
        self.held = 0
        """Bytes of requests that have not ended, or that calls under way were given."""
        self.hold_limit = 4 * request_limit
        # Each read is taken out before the next one, so one buffer is enough for all.
        self.buffer = bytearray(_READ_SIZE)

    @property
    def busy(self) -> bool:
        """Whether no further call may take time."""
        return len(self.tasks) >= MAX_CALLS

    def admit(self, connection: Connection) -> bool:
        """Take a connection in, instead of the one that was silent longest when there are too many; False: no room."""
        if len(self.connections) >= MAX_CONNECTIONS:
            idle = next((c for c in self.connections if c.idle), None)
            if idle is None:
                return False
            idle.dismiss()
        self.connections[connection] = None
        return True

    def relieve(self) -> bool:
        """Too much is held: who has most of it loses the requests that have not ended. Whether that was enough."""
        most = max(self.connections, key=lambda c: c.calls.held)
        most.calls.refuse_unfinished(_TOO_MUCH)
        most.soon()
        return self.held <= self.hold_limit

    def check_queues(self) -> None:
        """Cut off the client that lets most of its answers wait, when that is too much."""
        if sum(c.queued for c in self.connections) > MAX_QUEUED:
            max(self.connections, key=lambda c: c.queued).cut_off("its answers are not read")
