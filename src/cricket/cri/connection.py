"""One client's connection: gRPC calls in, answers out, on asyncio and `wire.http2`.

A question that memory answers is served while its bytes are read: one wake-up, one write, no task. Other calls get a
task, which the client's cancellation or deadline ends.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple

from cricket.cri.methods import Kind
from cricket.cri.outcome import Refusal
from cricket.errors import Code
from cricket.wire import grpc_messages as grpc
from cricket.wire.grpc_messages import Refused
from cricket.wire.http2 import Body, Cancelled, Event, Http2Server, Request, Sent
from cricket.wire.mux import Gone

log = logging.getLogger(__name__)

MAX_CALLS = 2000
"""Calls at a time, of all clients; what comes after is refused with ResourceExhausted."""

Send = Callable[[bytes], Awaitable[None]]


class Route(NamedTuple):
    """How a method is served: READ by a function of the request's bytes, giving bytes or a Refusal; STREAM by a
    coroutine function of the bytes and of `Send`, giving None or a Refusal; the others by a coroutine function of the
    bytes."""

    kind: Kind
    serve: Callable[..., Any]


class Served:
    """What all connections of a server share."""

    def __init__(self, routes: Mapping[bytes, Route], request_limit: int) -> None:
        self.routes, self.request_limit = routes, request_limit
        self.connections: set[Connection] = set()
        self.tasks: set[asyncio.Task[None]] = set()
        # Each read is taken out before the next one, so one buffer is enough for all.
        self.buffer = bytearray(64 << 10)

    def connection(self) -> Connection:
        """For a client that has just come."""
        return Connection(self)


class _Call:
    """A call whose request has not ended, or whose task runs."""

    __slots__ = ("route", "reader", "deadline", "task", "timer", "sent")

    def __init__(self, route: Route, reader: grpc.Reader, deadline: float | None) -> None:
        self.route, self.reader, self.deadline = route, reader, deadline
        self.task: asyncio.Task[None] | None = None
        self.timer: asyncio.TimerHandle | None = None
        self.sent: asyncio.Future[None] | None = None


class Connection(asyncio.BufferedProtocol):
    """The protocol of one accepted socket."""

    def __init__(self, served: Served) -> None:
        self._served, self._http2 = served, Http2Server()
        self._loop = asyncio.get_running_loop()
        self._calls: dict[int, _Call] = {}
        self._transport: asyncio.Transport | None = None
        self._paused = False
        self.closed: asyncio.Future[None] = self._loop.create_future()

    # --- the socket -------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._served.connections.add(self)
        self._flush()

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._served.connections.discard(self)
        for stream in tuple(self._calls):
            self._drop(stream)
        if not self.closed.done():
            self.closed.set_result(None)

    def get_buffer(self, sizehint: int) -> bytearray:
        return self._served.buffer

    def buffer_updated(self, nbytes: int) -> None:
        for event in self._http2.receive(bytes(memoryview(self._served.buffer)[:nbytes])):
            self._on_event(event)
        self._flush()

    def pause_writing(self) -> None:
        # Nothing is read either: what a client sends while it does not read can only make more to be written.
        self._paused = True
        if self._transport is not None:
            self._transport.pause_reading()

    def resume_writing(self) -> None:
        self._paused = False
        if self._transport is not None:
            self._transport.resume_reading()
        for call in self._calls.values():
            _wake(call)

    def _flush(self) -> None:
        data = self._http2.output()
        if data and self._transport is not None:
            self._transport.write(data)

    def leave(self) -> None:
        """Tell the client that the server stops taking calls."""
        self._http2.leave()
        self._flush()

    def close(self) -> None:
        """Close when everything is written; `abort` does not wait."""
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """Close now."""
        if self._transport is not None:
            self._transport.abort()

    # --- calls ------------------------------------------------------------------------------------------------

    def _on_event(self, event: Event) -> None:
        if isinstance(event, Body):
            self._on_body(event)
        elif isinstance(event, Request):
            self._on_request(event)
        elif isinstance(event, Cancelled):
            self._drop(event.stream)
        elif isinstance(event, Sent):
            if (call := self._calls.get(event.stream)) is not None:
                _wake(call)
        elif isinstance(event, Gone):
            log.debug("a client is cut off: %s", event.reason)
            self._flush()
            self.close()

    def _on_request(self, event: Request) -> None:
        try:
            call = grpc.call_of(event.headers)
            route = self._served.routes.get(call.path)
            if route is None:
                path = call.path.decode("utf-8", "replace")
                raise Refused(Code.UNIMPLEMENTED, f"the method {path} is not known")
            if len(self._served.tasks) >= MAX_CALLS:
                raise Refused(Code.RESOURCE_EXHAUSTED, f"there are {MAX_CALLS} calls under way already")
        except Refused as refused:
            self._refuse(event.stream, refused)
            return
        deadline = None if call.timeout is None else self._loop.time() + call.timeout
        self._calls[event.stream] = _Call(route, grpc.Reader(self._served.request_limit, call.encoding), deadline)

    def _on_body(self, event: Body) -> None:
        stream = event.stream
        call = self._calls.get(stream)
        if call is None:
            return
        try:
            call.reader.feed(event.data)
            if not event.end:
                return
            message = call.reader.message()
        except Refused as refused:
            del self._calls[stream]
            self._refuse(stream, refused)
            return
        if call.route.kind is Kind.READ:
            del self._calls[stream]
            self._answer(stream, call.route.serve(message))
            return
        if call.route.kind is Kind.STREAM:
            self._http2.headers(stream, grpc.HEADERS)
        call.task = self._loop.create_task(self._run(stream, call, message))
        self._served.tasks.add(call.task)
        call.task.add_done_callback(self._served.tasks.discard)
        if call.deadline is not None:
            call.timer = self._loop.call_at(call.deadline, self._expire, stream)

    async def _run(self, stream: int, call: _Call, message: bytes) -> None:
        """Serve a call to its end. A cancelled one is answered by whoever cancelled it."""
        if call.route.kind is Kind.STREAM:

            async def send(answer: bytes) -> None:
                await self._send(stream, call, answer)

            outcome = await call.route.serve(message, send) or b""
        else:
            outcome = await call.route.serve(message)
        if self._calls.get(stream) is call:
            del self._calls[stream]
            if call.timer is not None:
                call.timer.cancel()
            if call.route.kind is Kind.STREAM:
                refusal = outcome if isinstance(outcome, Refusal) else None
                self._http2.end(stream, grpc.trailers(*refusal) if refusal else grpc.OK)
            else:
                self._answer(stream, outcome)
            self._flush()

    def _answer(self, stream: int, outcome: bytes | Refusal) -> None:
        if isinstance(outcome, Refusal):
            self._http2.end(stream, grpc.HEADERS + grpc.trailers(*outcome))
            return
        self._http2.headers(stream, grpc.HEADERS)
        self._http2.send(stream, grpc.framed(outcome))
        self._http2.end(stream, grpc.OK)

    def _refuse(self, stream: int, refused: Refused) -> None:
        encodings = grpc.ENCODINGS if refused.code is Code.UNIMPLEMENTED else b""
        self._http2.end(stream, grpc.HEADERS + encodings + grpc.trailers(refused.code, str(refused)))

    async def _send(self, stream: int, call: _Call, answer: bytes) -> None:
        """One message of a stream; returns when it is on its way, so that nothing piles up for a slow reader."""
        self._http2.send(stream, grpc.framed(answer))
        self._flush()
        while self._paused or self._http2.waits(stream):
            call.sent = self._loop.create_future()
            await call.sent

    def _expire(self, stream: int) -> None:
        call = self._calls.pop(stream)
        self._http2.end(stream, self._began(call) + grpc.trailers(Code.DEADLINE_EXCEEDED, "the caller's time is over"))
        self._flush()
        _cancel(call)

    def _drop(self, stream: int) -> None:
        """The client does not want the answer any more."""
        call = self._calls.pop(stream, None)
        if call is not None:
            if call.timer is not None:
                call.timer.cancel()
            _cancel(call)

    @staticmethod
    def _began(call: _Call) -> bytes:
        """The headers that still have to be said before trailers: those of a stream were."""
        return b"" if call.route.kind is Kind.STREAM else grpc.HEADERS


def _wake(call: _Call) -> None:
    if call.sent is not None and not call.sent.done():
        call.sent.set_result(None)


def _cancel(call: _Call) -> None:
    if call.task is not None:
        call.task.cancel()
