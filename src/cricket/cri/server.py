"""The gRPC server on its unix socket."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import os
from typing import Any

import grpc

from cricket._proto.cri import api_pb2
from cricket.cri import listening
from cricket.cri.engine import Engine, Streams
from cricket.cri.interceptor import Interceptor
from cricket.cri.rpc_image import ImageService
from cricket.cri.runtime_service import RuntimeService
from cricket.cri.tasks import OwnedTasks
from cricket.cri.views import Views
from cricket.errors import Internal, map_errors
from cricket.types.metrics import REGISTRY, Registry

log = logging.getLogger(__name__)

MESSAGE_LIMIT = 16 << 20
"""Bytes of a message in either direction: what the kubelet sets on its side."""
MAX_CALLS = 2000
"""Calls at a time; what comes after is refused with ResourceExhausted."""

_OPTIONS = (
    # The interceptor refuses larger ones with advice; this is for what it does not see.
    ("grpc.max_send_message_length", MESSAGE_LIMIT + (1 << 10)),
    ("grpc.max_metadata_size", 16 << 10),
    ("grpc.so_reuseport", 0),
    ("grpc.enable_channelz", 0),
    # Clients of long streams may ping as they like.
    ("grpc.http2.max_ping_strikes", 0),
    ("grpc.keepalive_permit_without_calls", 1),
)


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
        self._options = (("grpc.max_receive_message_length", request_limit), *_OPTIONS)
        self.tasks = OwnedTasks()
        self._interceptor = Interceptor(registry, self.tasks, MESSAGE_LIMIT)
        views = Views(engine)
        runtime, image = RuntimeService(engine, streams, views), ImageService(engine, streams, views)
        self._services = [(api_pb2, "RuntimeService", runtime), (api_pb2, "ImageService", image)]
        if side is not None:
            self._services.append((side.proto, "Side", side))
        self._server: Any = None

    async def start(self) -> None:
        """Listen. Raises AlreadyExists when the socket is served by another process."""
        listening.prepare(self.path)
        server = grpc.aio.server(options=self._options, maximum_concurrent_rpcs=MAX_CALLS)
        handlers = [
            self._interceptor.service(module, name, functools.partial(getattr, servicer))
            for module, name, servicer in self._services
        ]
        server.add_generic_rpc_handlers(handlers)
        # The socket must never be open to all, not even until chmod.
        umask = os.umask(0o777 & ~self._mode)
        try:
            with map_errors(RuntimeError, Internal, "cannot listen", where=self.path):
                server.add_insecure_port(f"unix:{self.path}")
        finally:
            os.umask(umask)
        await server.start()
        listening.restrict(self.path, self._mode, self._gid)
        self._server = server
        log.info("CRI is served on %s", self.path)

    async def stop(self, grace: float = 5.0) -> None:
        """Refuse new calls, end streams, give running verbs `grace` seconds, then cancel them. Idempotent."""
        server, self._server = self._server, None
        if server is None:
            return
        self._interceptor.close_streams()
        stopping = asyncio.ensure_future(server.stop(grace))
        cancelled = await self.tasks.drain(grace)
        if cancelled:
            log.warning("%d operations were cancelled by the shutdown", cancelled)
        await stopping
        with contextlib.suppress(OSError):
            os.unlink(self.path)
