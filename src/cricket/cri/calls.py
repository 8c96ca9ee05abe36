"""The gRPC calls of one connection: requests gathered, served in turns, answered.

A question that memory answers is served while its bytes are read, without a task. Other calls get a task, which the
client's cancellation or deadline ends; a verb's goes on.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from typing import Protocol

from cricket.cri.methods import Kind
from cricket.cri.outcome import Refusal, refusal_of
from cricket.cri.served import Route, Served
from cricket.errors import Code
from cricket.wire import grpc_messages as grpc
from cricket.wire.grpc_messages import NotGrpc, Refused
from cricket.wire.http2 import Body, Cancelled, Event, Http2Server, Request

log = logging.getLogger(__name__)

QUEUE_LIMIT = 4 << 20
"""Bytes of answers that wait for the client; while there are more, no further call is served."""
_SLICE = 0.005
"""Seconds that a client's calls are served for before it is others' turn."""
_STARTS = 64
"""Calls that are served before it is others' turn."""
_SMALL = 64 << 10
"""Bytes of a request that is taken even when others hold too many."""
_TOO_SLOW = Refused(Code.DEADLINE_EXCEEDED, "the request did not end in time")
_NOT_READ = Refused(Code.RESOURCE_EXHAUSTED, "the client does not read the answers to its earlier calls")
_TIME_OVER = Refusal(Code.DEADLINE_EXCEEDED, "the caller's time is over")


class Host(Protocol):
    """The connection, as its calls need it."""

    paused: bool
    """Whether the socket is full."""

    def turn(self) -> None:
        """Serve and send what can be."""

    def later(self, when: float, work: Callable[..., None], *args: object) -> asyncio.TimerHandle:
        """Call at a time of the loop's clock."""

    def abort(self) -> None:
        """Close now."""


class _Call:
    __slots__ = ("route", "reader", "deadline", "held", "old", "task", "timer")

    def __init__(self, route: Route, reader: grpc.Reader, deadline: float | None) -> None:
        self.route, self.reader, self.deadline = route, reader, deadline
        self.held = 0
        self.old = False
        self.task: asyncio.Task[None] | None = None
        self.timer: asyncio.TimerHandle | None = None


class Calls:
    """Fed with events by the connection; `serve` does the work."""

    def __init__(self, host: Host, served: Served, http2: Http2Server) -> None:
        self._host, self._served, self._http2 = host, served, http2
        self._loop = asyncio.get_running_loop()
        self._open: dict[int, _Call] = {}  # by stream: those whose request has not ended
        self._calls: dict[int, _Call] = {}  # those whose answer has not ended
        self._others: dict[int, NotGrpc] = {}  # what has not ended and is no call
        self._ready: deque[tuple[int, _Call]] = deque()
        self._sending: dict[int, asyncio.Future[None]] = {}
        self.held = 0
        """Bytes of requests that have not ended or whose calls are under way."""

    @property
    def idle(self) -> bool:
        """Whether the client waits for nothing."""
        return not self._open and not self._calls

    @property
    def waiting(self) -> bool:
        """Whether there are requests that have not ended, or are not served."""
        return bool(self._open or self._ready)

    @property
    def ready(self) -> bool:
        """Whether `serve` would do something."""
        return bool(self._ready) and self._http2.queued <= QUEUE_LIMIT

    # --- requests ---------------------------------------------------------------------------------------------

    def on_event(self, event: Event) -> None:
        """Take in what the client sent."""
        if isinstance(event, Body):
            self._on_body(event)
        elif isinstance(event, Request):
            self._on_request(event)
        elif isinstance(event, Cancelled):
            self._drop(event.stream)

    def _on_request(self, event: Request) -> None:
        try:
            call = grpc.call_of(event.headers)
            route = self._served.routes.get(call.path)
            if route is None:
                raise Refused(Code.UNIMPLEMENTED, f"the method {grpc.shown(call.path)} is not known")
        except Refused as refused:
            self._refuse(event.stream, refused)
            return
        except NotGrpc as other:
            self._others[event.stream] = other
            return
        deadline = None if call.timeout is None else self._loop.time() + call.timeout
        self._open[event.stream] = _Call(route, grpc.Reader(self._served.request_limit, call.encoding), deadline)

    def _on_body(self, event: Body) -> None:
        stream = event.stream
        call = self._open.get(stream)
        if call is None:
            if event.end and (other := self._others.pop(stream, None)) is not None:
                self._answer_plainly(stream, other)
            return
        try:
            call.reader.feed(event.data)
            self._hold(call, call.held + len(event.data))
        except Refused as refused:
            self._drop(stream)
            self._refuse(stream, refused)
            return
        if event.end and self._open.pop(stream, None) is call:
            self._calls[stream] = call
            self._ready.append((stream, call))

    def refuse_unfinished(self, why: Refused) -> None:
        """Refuse the requests that have not ended."""
        for stream in tuple(self._open):
            self._drop(stream)
            self._refuse(stream, why)

    def refuse_old(self) -> None:
        """Refuse the requests that have not ended, or are not served, since this was called last."""
        ready = [(stream, call) for stream, call in self._ready if self._calls.get(stream) is call]
        for stream, call in (*self._open.items(), *ready):
            if call.old:
                why = _TOO_SLOW if stream in self._open else _NOT_READ
                self._drop(stream)
                self._refuse(stream, why)
            call.old = True

    def _hold(self, call: _Call, size: int) -> None:
        """Count what a call holds. Raises Refused when it is too much, with all others."""
        by, call.held = size - call.held, size
        self.held += by
        self._served.held += by
        if by > 0 and self._served.held > self._served.hold_limit and not self._served.relieve() and size > _SMALL:
            raise Refused(Code.RESOURCE_EXHAUSTED, "there are too many large requests at a time")

    # --- serving ----------------------------------------------------------------------------------------------

    def serve(self) -> None:
        """Serve what is ready, for a while, and as far as the client reads the answers."""
        if not self._ready:
            return
        until, starts = self._loop.time() + _SLICE, _STARTS
        while starts and self.ready:
            stream, call = self._ready.popleft()
            if self._calls.get(stream) is not call:
                continue
            try:
                self._start(stream, call)
            except Refused as refused:
                self._drop(stream)
                self._refuse(stream, refused)
            starts -= 1
            if self._loop.time() >= until:
                return

    def _start(self, stream: int, call: _Call) -> None:
        message = call.reader.message()
        if call.route.kind is Kind.READ:
            del self._calls[stream]
            self._hold(call, 0)
            self._answer(stream, _ask(call.route, message))
            return
        if call.deadline is not None and call.deadline <= self._loop.time():
            raise Refused(*_TIME_OVER)
        if self._served.busy:
            raise Refused(Code.RESOURCE_EXHAUSTED, "there are too many calls under way already")
        self._hold(call, len(message))
        if call.route.kind is Kind.STREAM:
            self._http2.headers(stream, grpc.HEADERS)
        call.task = self._loop.create_task(self._run(stream, call, message))
        self._served.tasks.add(call.task)
        call.task.add_done_callback(lambda task: self._ended(call, task))
        if call.deadline is not None:
            call.timer = self._host.later(call.deadline, self._expire, stream)

    async def _run(self, stream: int, call: _Call, message: bytes) -> None:
        """Serve a call to its end."""
        outcome: bytes | Refusal
        try:
            if call.route.kind is Kind.STREAM:
                outcome = await call.route.serve(message, lambda answer: self._send(stream, answer)) or b""
            else:
                outcome = await call.route.serve(message)
        except asyncio.CancelledError:
            if self._calls.get(stream) is not call:
                raise
            outcome = Refusal(Code.UNAVAILABLE, "the runtime is shutting down")
        except Exception as e:
            outcome = refusal_of(e, "a call")
        if self._calls.get(stream) is call:
            del self._calls[stream]
            if call.timer is not None:
                call.timer.cancel()
            self._conclude(stream, call, outcome)
            self._host.turn()

    def _ended(self, call: _Call, task: asyncio.Task[None]) -> None:
        # Not in the task itself: one that is cancelled before its first step never runs.
        self._served.tasks.discard(task)
        self._hold(call, 0)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a client is cut off by a fault of the runtime", exc_info=error)
            self._host.abort()

    async def _send(self, stream: int, answer: bytes) -> None:
        """One message of a stream; returns when it is on its way, so that nothing piles up for a slow reader."""
        self._http2.send(stream, grpc.prefix(answer), answer)
        self._host.turn()
        while self._host.paused or self._http2.waits(stream):
            self._sending[stream] = self._loop.create_future()
            try:
                await self._sending[stream]
            finally:
                del self._sending[stream]

    def wake(self) -> None:
        """Let those streams go on whose message is on its way."""
        for stream, waiting in self._sending.items():
            if not waiting.done() and not self._http2.waits(stream):
                waiting.set_result(None)

    # --- answers ----------------------------------------------------------------------------------------------

    def _conclude(self, stream: int, call: _Call, outcome: bytes | Refusal) -> None:
        """End a call that has a task; the headers of a stream are out already."""
        if call.route.kind is not Kind.STREAM:
            self._answer(stream, outcome)
        elif isinstance(outcome, Refusal):
            self._http2.end(stream, grpc.trailers(*outcome, self._http2.header_limit))
        else:
            self._http2.end(stream, grpc.OK)

    def _answer(self, stream: int, outcome: bytes | Refusal) -> None:
        if isinstance(outcome, Refusal):
            self._http2.end(stream, grpc.HEADERS + grpc.trailers(*outcome, self._http2.header_limit))
            return
        self._http2.headers(stream, grpc.HEADERS)
        self._http2.send(stream, grpc.prefix(outcome), outcome)
        self._http2.end(stream, grpc.OK)

    def _answer_plainly(self, stream: int, other: NotGrpc) -> None:
        self._http2.headers(stream, grpc.plain(other.status))
        self._http2.send(stream, f"{other}\n".encode())
        self._http2.end(stream, b"")

    def _refuse(self, stream: int, refused: Refused) -> None:
        encodings = grpc.ENCODINGS if refused.code is Code.UNIMPLEMENTED else b""
        status = grpc.trailers(refused.code, str(refused), self._http2.header_limit)
        self._http2.end(stream, grpc.HEADERS + encodings + status)

    # --- ends -------------------------------------------------------------------------------------------------

    def _expire(self, stream: int) -> None:
        call = self._calls[stream]
        self._drop(stream)
        self._conclude(stream, call, _TIME_OVER)
        self._host.turn()

    def _drop(self, stream: int) -> None:
        """Nobody wants the answer any more."""
        call = self._open.pop(stream, None) or self._calls.pop(stream, None)
        if call is None:
            self._others.pop(stream, None)
            return
        if call.timer is not None:
            call.timer.cancel()
        if call.task is None:
            self._hold(call, 0)
        elif call.route.kind is Kind.VERB:
            call.route.abandoned()
        else:
            call.task.cancel()

    def drop_all(self) -> None:
        """The client is gone."""
        for stream in (*self._open, *self._calls):
            self._drop(stream)
        self._ready.clear()


def _ask(route: Route, message: bytes) -> bytes | Refusal:
    try:
        answer: bytes | Refusal = route.serve(message)
        return answer
    except Exception as e:
        return refusal_of(e, "a question")
