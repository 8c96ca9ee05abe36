"""One plugin's socket: calls to the plugin and calls from it, ttrpc over the two streams of the multiplexer."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from cricket._proto.nri import ttrpc_pb2
from cricket.errors import (
    Code,
    CricketError,
    FailedPrecondition,
    InvalidArgument,
    ResourceExhausted,
    Unavailable,
    Unimplemented,
)
from cricket.nri.plain import parse
from cricket.wire import nrimux, ttrpc

log = logging.getLogger(__name__)

PLUGIN_SERVICE = "nri.pkg.api.v1alpha1.Plugin"
RUNTIME_SERVICE = "nri.pkg.api.v1alpha1.Runtime"
GRACE = 0.5
"""Seconds that an answer may be on its way after the time that the plugin was given."""

_MAX_SERVED = 16

Serve = Callable[[str, bytes], Awaitable[bytes]]
"""Answers a call of the plugin: method and request to response; its CricketErrors become the call's status."""


class PluginError(FailedPrecondition):
    """The plugin answered with an error; `status` is its gRPC code."""

    status: int = Code.UNKNOWN


class PluginGone(Unavailable):
    """The plugin's connection is lost, or it was cut because the plugin did not answer in time or sent nonsense."""


class Connection(asyncio.Protocol):
    """Both directions of one plugin's connection.

    `lost` is done when the connection has ended, with the reason as its result. All methods run on the event loop.
    """

    def __init__(self, serve: Serve) -> None:
        loop = asyncio.get_running_loop()
        self.lost: asyncio.Future[str] = loop.create_future()
        self._serve = serve
        self._transport: asyncio.Transport | None = None
        self._demux = nrimux.Demux()
        self._responses, self._requests = ttrpc.Parser(), ttrpc.Parser()
        self._next, self._last_served = 1, 0
        self._calls: dict[int, asyncio.Future[bytes]] = {}
        self._serving: set[asyncio.Task[None]] = set()

    async def call(self, method: str, request: bytes, limit: float) -> bytes:
        """Call the plugin and return its response.

        Raises PluginError when it answers with an error, ResourceExhausted when the request is too long, and
        PluginGone when it is lost; a plugin that has not answered `limit` seconds (and `GRACE`) later is cut off.
        """
        envelope = ttrpc_pb2.Request(
            service=PLUGIN_SERVICE, method=method, payload=request, timeout_nano=int(limit * 1e9)
        )
        stream = self._next
        frame = ttrpc.encode(stream, ttrpc.Type.REQUEST, envelope.SerializeToString())
        self._next += 2
        answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._calls[stream] = answer
        try:
            self._send(nrimux.PLUGIN, frame)
            return await asyncio.wait_for(answer, limit + GRACE)
        except TimeoutError as e:
            self.close(f"no answer to {method} in {limit:g} s")
            raise PluginGone(f"no answer to {method} in {limit:g} s") from e
        finally:
            self._calls.pop(stream, None)

    def close(self, reason: str) -> None:
        """Cut the connection; calls that wait end with PluginGone. Idempotent."""
        if not self.lost.done():
            self.lost.set_result(reason)
        for answer in self._calls.values():
            if not answer.done():
                answer.set_exception(PluginGone(reason))
        for task in self._serving:
            task.cancel()
        if self._transport is not None:
            self._transport.abort()

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Part of asyncio.Protocol."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        if self.lost.done():
            transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Part of asyncio.Protocol."""
        self.close(str(exc) if exc else "the plugin closed the connection")

    def data_received(self, data: bytes) -> None:
        """Part of asyncio.Protocol."""
        try:
            for stream, payload in self._demux.feed(data):
                if stream == nrimux.PLUGIN:
                    for message in self._responses.feed(payload):
                        self._answered(message)
                elif stream == nrimux.RUNTIME:
                    for message in self._requests.feed(payload):
                        self._asked(message)
        except InvalidArgument as e:
            self.close(f"protocol error: {e}")

    def _send(self, stream: int, message: bytes) -> None:
        if self._transport is None or self.lost.done():
            raise PluginGone("the plugin is not connected")
        self._transport.write(nrimux.frames(stream, message))

    # as a client

    def _answered(self, message: ttrpc.Message) -> None:
        answer = self._calls.get(message.stream)
        if message.type != ttrpc.Type.RESPONSE or answer is None or answer.done():
            return
        if message.payload is None:
            answer.set_exception(_plugin_error(Code.RESOURCE_EXHAUSTED, "its answer is too long"))
            return
        response = parse(ttrpc_pb2.Response, message.payload)
        if response.status.code:
            answer.set_exception(_plugin_error(response.status.code, response.status.message))
        else:
            answer.set_result(response.payload)

    # as a server

    def _asked(self, message: ttrpc.Message) -> None:
        if message.type != ttrpc.Type.REQUEST:
            return
        if message.payload is None:
            self._refuse(message.stream, ResourceExhausted("the request is too long"))
        elif message.stream % 2 == 0 or message.stream <= self._last_served:
            self._refuse(message.stream, InvalidArgument("stream numbers must be odd and grow"))
        elif len(self._serving) >= _MAX_SERVED:
            self._refuse(message.stream, ResourceExhausted("too many calls at once"))
        else:
            self._last_served = message.stream
            task = asyncio.get_running_loop().create_task(self._serve_one(message.stream, message.payload))
            self._serving.add(task)
            task.add_done_callback(self._serving.discard)

    async def _serve_one(self, stream: int, payload: bytes) -> None:
        try:
            request = parse(ttrpc_pb2.Request, payload)
            if request.service != RUNTIME_SERVICE:
                raise Unimplemented(f"no service {request.service}")
            response = ttrpc_pb2.Response(payload=await self._serve(request.method, request.payload))
            self._respond(stream, response)
        except CricketError as e:
            self._refuse(stream, e)
        except Exception as e:
            log.exception("a call of an NRI plugin failed")
            self._refuse(stream, CricketError(f"internal error: {e}"))

    def _refuse(self, stream: int, error: CricketError) -> None:
        status = ttrpc_pb2.Status(code=error.code, message=str(error))
        self._respond(stream, ttrpc_pb2.Response(status=status))

    def _respond(self, stream: int, response: Any) -> None:
        if self._transport is not None and not self.lost.done():
            frame = ttrpc.encode(stream, ttrpc.Type.RESPONSE, response.SerializeToString())
            self._transport.write(nrimux.frames(nrimux.RUNTIME, frame))


def _plugin_error(status: int, message: str) -> PluginError:
    error = PluginError(message or f"status {status}")
    error.status = status
    return error
