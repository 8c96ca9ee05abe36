"""A connection to a runtime's socket for calls over gRPC, as bytes, from any number of threads.

There is no thread behind it: who waits for an answer reads, and hands out what belongs to the calls of other threads.
"""

from __future__ import annotations

import math
import select
import socket
import threading
import time
from collections.abc import Callable
from typing import TypeVar

from cricket.client.endpoint import LARGEST_ANSWER, connect
from cricket.errors import Code
from cricket.wire.grpc_answers import KNOWN_BLOCKS, Answers, Outcome, request_headers
from cricket.wire.grpc_messages import framed
from cricket.wire.http2_client import Answered, Body, Event, Gone, Http2Client, Leaves, Refused

T = TypeVar("T")
_CHUNK = 256 << 10
_CLOSED = Outcome(Code.CANCELLED, "the connection was closed")
_LOST = Outcome(Code.UNAVAILABLE, "the runtime has closed the connection")


class CallError(Exception):
    """How a call failed."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome.words)
        self.outcome = outcome


class Exchange:
    """One call. Its messages are `many`, or one at the end."""

    __slots__ = ("_transport", "stream", "answers", "many", "deadline", "held", "turns")

    def __init__(self, transport: Transport, stream: int, limit: float | None, many: bool) -> None:
        self._transport, self.stream, self.many = transport, stream, many
        self.answers = Answers(LARGEST_ANSWER)
        self.deadline = None if limit is None else time.monotonic() + limit
        self.held = 0
        """Bytes that still count against the stream's window, as nobody has taken the messages that they are."""
        self.turns: list[threading.Lock] = []
        """Released when there is something to do for threads that wait for this call while another one reads."""

    @property
    def ready(self) -> bool:
        """Whether there is something to take."""
        return self.answers.outcome is not None or (self.many and bool(self.answers.messages))

    def done(self) -> bool:
        """Whether it has ended; looks at the socket when no other thread does, and never waits."""
        return self.answers.outcome is not None or self._transport.look(self)

    def answer(self) -> bytes:
        """Wait for the one message of the answer; an interrupted wait cancels the call. Raises CallError."""
        outcome, messages = self._wait(), self.answers.messages
        if outcome is None or outcome.code is not Code.OK:
            raise CallError(outcome or _CLOSED)
        if len(messages) != 1:
            raise CallError(Outcome(Code.INTERNAL, f"the answer has {len(messages)} messages instead of one"))
        return messages[0]

    def next(self) -> bytes | None:
        """Wait for the next of the messages; None after the last one. Raises CallError."""
        outcome = self._wait()
        if self.answers.messages:
            return self._transport.take(self)
        if outcome is not None and outcome.code is not Code.OK:
            raise CallError(outcome)
        return None

    def _wait(self) -> Outcome | None:
        try:
            self._transport.wait(self)
        except BaseException:
            self.cancel()
            raise
        return self.answers.outcome

    def cancel(self) -> None:
        """Give the call up. Idempotent; a call that has ended stays as it is."""
        self._transport.end(self, _CLOSED)


class Transport:
    """Raises UnreachableError when nobody listens at `path`."""

    def __init__(self, path: str, patience: float) -> None:
        """`patience` in seconds, for connecting."""
        self._socket = connect(path, patience)
        self._socket.setblocking(False)
        self._http2 = Http2Client(KNOWN_BLOCKS)
        self._unsent = memoryview(b"")
        # Guards all of this. It is never held while somebody waits for the socket.
        self._lock = threading.Lock()
        self._exchanges: dict[int, Exchange] = {}
        self._readers = 0
        self._over = self._leaving = False

    def begin(self, path: bytes, request: bytes, limit: float | None, *, many: bool) -> Exchange | None:
        """Begin a call that may take `limit` seconds; None when this connection takes no more calls."""
        return self._alone(self._begin, path, request, limit, many)

    def _begin(self, path: bytes, request: bytes, limit: float | None, many: bool) -> Exchange | None:
        if not self._readers:
            self._turn()  # the runtime may have left since the last call
        if self._over or self._leaving:
            return None
        full = self._http2.full
        stream = -1 if full else self._http2.open(request_headers(path, limit), framed(request))
        exchange = Exchange(self, stream, limit, many)
        if full:
            words = "the runtime does not take so many calls at a time"
            exchange.answers.outcome = Outcome(Code.RESOURCE_EXHAUSTED, words)
            return exchange
        self._exchanges[stream] = exchange
        self._flush()
        return exchange

    def close(self) -> None:
        """End what is under way, in all threads. Idempotent."""
        with self._lock:
            self._leaving = True
            self._lose(_CLOSED)

    # --- waiting ----------------------------------------------------------------------------------------------

    def wait(self, exchange: Exchange) -> None:
        """Until the exchange is ready, which it also is when its time is over."""
        while not exchange.ready:
            left = self._left(exchange)
            if left is not None and left <= 0:
                self.end(exchange, Outcome(Code.DEADLINE_EXCEEDED, "the time is over"))
                return
            turn = self._claim(exchange)
            if turn is None:
                try:
                    self._read(exchange)
                finally:
                    self._resign()
            else:
                turn.acquire(timeout=-1 if left is None else min(left, threading.TIMEOUT_MAX))

    def _claim(self, exchange: Exchange) -> threading.Lock | None:
        """What to wait for while another thread reads; None for the one that is to read now."""
        with self._lock:
            # Who reads may be waiting without knowing that there is something to be sent: then there are two.
            if not self._readers or self._unsent or exchange.ready:
                self._readers += 1
                return None
            turn = threading.Lock()
            turn.acquire()
            exchange.turns.append(turn)
            return turn

    def _resign(self) -> None:
        """Let another thread read, which still waits for something."""
        with self._lock:
            self._readers -= 1
            if self._readers:
                return
            if self._over:
                self._socket.close()
            for other in self._exchanges.values():
                if other.turns:
                    self._wake(other)
                    return

    def _read(self, exchange: Exchange) -> None:
        """Read until the exchange is ready or its time over."""
        poll = select.poll()
        while not exchange.ready:
            left = self._left(exchange)
            if left is not None and left <= 0:
                return
            poll.register(self._socket, select.POLLIN | (select.POLLOUT if self._unsent else 0))
            poll.poll(None if left is None else math.ceil(left * 1000))
            self._alone(self._turn)

    @staticmethod
    def _left(exchange: Exchange) -> float | None:
        return None if exchange.deadline is None else exchange.deadline - time.monotonic()

    @staticmethod
    def _wake(exchange: Exchange) -> None:
        turns, exchange.turns = exchange.turns, []
        for turn in turns:
            turn.release()

    # --- what happens under the lock --------------------------------------------------------------------------

    def _alone(self, do: Callable[..., T], *values: object) -> T:
        """Do something under the lock. Ctrl-C in its middle leaves a connection of which nobody knows what was said."""
        with self._lock:
            try:
                return do(*values)
            except BaseException:
                self._lose(_CLOSED)
                raise

    def look(self, exchange: Exchange) -> bool:
        """Take what is there without waiting, if nobody reads; whether the exchange has ended."""
        if not self._readers:
            self._alone(self._turn)
        return exchange.answers.outcome is not None

    def take(self, exchange: Exchange) -> bytes:
        """The next message of a stream, of which there is one; the runtime may send more."""
        return self._alone(self._take, exchange)

    def _take(self, exchange: Exchange) -> bytes:
        message = exchange.answers.messages.popleft()
        self._make_room(exchange)
        self._flush()
        return message

    def end(self, exchange: Exchange, outcome: Outcome) -> None:
        """Give the call up, if it has not ended."""
        self._alone(self._end, exchange, outcome)

    def _end(self, exchange: Exchange, outcome: Outcome) -> None:
        if exchange.answers.outcome is None:
            exchange.answers.outcome = outcome
            self._forget(exchange)
            self._flush()

    def _turn(self) -> None:
        """Take what is there, and send what there is."""
        if self._over:
            return
        try:
            data = self._socket.recv(_CHUNK)
        except BlockingIOError:
            pass
        except OSError as error:
            self._lose(_LOST._replace(words=f"{_LOST.words}: {(error.strerror or str(error)).lower()}"))
        else:
            for event in self._http2.receive(data) if data else ():
                self._on_event(event)
            if not data:
                self._lose(_LOST)
        self._flush()

    def _flush(self) -> None:
        while not self._over:
            self._unsent = self._unsent or memoryview(self._http2.output())
            if not self._unsent:
                return
            try:
                sent = self._socket.send(self._unsent, socket.MSG_NOSIGNAL)
            except BlockingIOError:
                return
            except OSError:  # the runtime's last words are still there to be read, and then why there are no more
                sent = len(self._unsent)
            self._unsent = self._unsent[sent:]

    def _on_event(self, event: Event) -> None:
        if isinstance(event, Gone):
            self._flush()
            self._lose(Outcome(Code.UNAVAILABLE, event.words))
            return
        if isinstance(event, Leaves):
            self._leaving = True
            self._close_unused()
            return
        exchange = self._exchanges.get(event.stream)
        if exchange is None:
            return
        if isinstance(event, Answered):
            exchange.answers.headers(event.headers, event.end)
        elif isinstance(event, Body):
            exchange.answers.data(event.data, event.end)
            exchange.held += event.size
            self._make_room(exchange)
        elif isinstance(event, Refused):
            exchange.answers.refused(event.reason)
        if exchange.answers.outcome is not None:
            self._forget(exchange)
        elif exchange.ready:
            self._wake(exchange)

    def _make_room(self, exchange: Exchange) -> None:
        """What belongs to no message that waits to be taken needs no more room."""
        if exchange.held and not (exchange.many and exchange.answers.messages):
            self._http2.consumed(exchange.stream, exchange.held)
            exchange.held = 0

    def _forget(self, exchange: Exchange) -> None:
        self._exchanges.pop(exchange.stream, None)
        self._http2.reset(exchange.stream)
        self._wake(exchange)
        self._close_unused()

    def _close_unused(self) -> None:
        if self._leaving and not self._exchanges:
            self._lose(_LOST)

    def _lose(self, outcome: Outcome) -> None:
        """The connection is over."""
        if self._over:
            return
        self._over = True
        for exchange in tuple(self._exchanges.values()):
            exchange.answers.outcome = outcome
            self._wake(exchange)
        self._exchanges.clear()
        if self._readers:
            try:
                self._socket.shutdown(socket.SHUT_RDWR)  # wakes those who wait for it; the last one closes it
            except OSError:
                pass  # the runtime was faster
        else:
            self._socket.close()
