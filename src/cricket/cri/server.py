"""The gRPC server on its unix socket."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import os
from typing import Any

from cricket._proto.cri import api_pb2
from cricket.cri import listening
from cricket.cri.connection import Connection
from cricket.cri.engine import Engine, Streams
from cricket.cri.interceptor import Interceptor
from cricket.cri.rpc_image import ImageService
from cricket.cri.runtime_service import RuntimeService
from cricket.cri.served import Route, Served
from cricket.cri.views import Views
from cricket.kernel.accepting import stop_accepting
from cricket.types.metrics import REGISTRY, Registry

log = logging.getLogger(__name__)

MESSAGE_LIMIT = 16 << 20
"""Bytes of a message in either direction: what the kubelet sets on its side."""
_BACKLOG = 512
_FAREWELL = 1.0
"""Seconds that clients have to read their last answers."""


class CriServer:
    """RuntimeService, ImageService and, when given, the side service, on one unix socket."""

    def __init__(
        self,
        engine: Engine,
        streams: Streams,
        socket_path: str,
        *,
        mode: int = 0o660,
        gid: int | None = None,
        request_limit: int = MESSAGE_LIMIT,
        side: Any = None,
        registry: Registry = REGISTRY,
    ) -> None:
        """`side` is a `cricket.cri.side.SideService`; `gid` the group of the socket, None to leave it.

        Requests over `request_limit` bytes are refused, and answers over MESSAGE_LIMIT, which is what clients take.
        """
        self.path, self._mode, self._gid = socket_path, mode, gid
        self._interceptor = Interceptor(registry, MESSAGE_LIMIT)
        views = Views(engine)
        runtime, image = RuntimeService(engine, streams, views), ImageService(engine, streams, views)
        services = [(api_pb2, "RuntimeService", runtime), (api_pb2, "ImageService", image)]
        if side is not None:
            services.append((side.proto, "Side", side))
        routes: dict[bytes, Route] = {}
        for module, name, servicer in services:
            routes |= self._interceptor.service(module, name, functools.partial(getattr, servicer))
        self._served = Served(routes, request_limit)
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Listen. Raises AlreadyExists when the socket is served by another process."""
        listening.prepare(self.path)
        bound = listening.listen(self.path, self._mode, self._gid)
        loop = asyncio.get_running_loop()
        self._server = await loop.create_unix_server(self._connection, sock=bound, backlog=_BACKLOG)
        log.info("CRI is served on %s", self.path)

    def _connection(self) -> Connection:
        return Connection(self._served)

    async def stop(self, grace: float = 5.0) -> None:
        """Refuse new calls, end streams, give running calls `grace` seconds, then cancel them. Idempotent."""
        server, self._server = self._server, None
        if server is None:
            return
        await stop_accepting(server)
        self._interceptor.close_streams()
        for connection in tuple(self._served.connections):
            connection.leave()
        cancelled = await _ended(self._served.tasks, grace)
        if cancelled:
            log.warning("%d operations were cancelled by the shutdown", cancelled)
        await self._hang_up()
        with contextlib.suppress(OSError):
            os.unlink(self.path)

    async def _hang_up(self) -> None:
        """Close the connections, when their last answers are out."""
        served = self._served
        for connection in tuple(served.connections):
            connection.close()
        await _all_closed(served)
        for connection in tuple(served.connections):
            connection.abort()
        await _all_closed(served)


async def _all_closed(served: Served) -> None:
    if served.connections:
        await asyncio.wait([connection.closed for connection in served.connections], timeout=_FAREWELL)


async def _ended(tasks: set[asyncio.Task[None]], grace: float) -> int:
    """Wait for calls, at most `grace` seconds; then cancel them and wait for their undoing. How many were cancelled."""
    if tasks:
        await asyncio.wait(set(tasks), timeout=grace)
    left = set(tasks)
    for task in left:
        task.cancel()
    if left:
        await asyncio.wait(left)
    return len(left)
