"""The client's end of an HTTP/2 connection as a state machine (sans I/O; RFC 9113), as far as gRPC needs it.

It never raises for what the peer sent: a violation ends in `Gone`, with GOAWAY in the output.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from cricket.wire import http2_frames as f
from cricket.wire.header_blocks import TABLE_SIZE, BlockEncoder
from cricket.wire.http2_end import HEADER_LIMIT, Headers, Http2End, Stream
from cricket.wire.http2_frames import Fault, Reason, Setting, Type

OUR_WINDOW = 4 << 20
"""Bytes that a stream, and all streams together, may have under way towards us: most lists need no more."""


class Answered(NamedTuple):
    """Headers of an answer, or its trailers: those have the `end`."""

    stream: int
    headers: Headers
    end: bool


class Body(NamedTuple):
    """Bytes of an answer; `size` is what they took of the window, to be told to `consumed`."""

    stream: int
    data: bytes
    size: int
    end: bool


class Refused(NamedTuple):
    """The peer gave the stream up, for a `Reason` or one of a number that we do not know."""

    stream: int
    reason: int


class Leaves(NamedTuple):
    """The peer takes no new streams; those that it had not begun were `Refused`."""


class Gone(NamedTuple):
    """The connection is over: the peer broke the protocol."""

    words: str


Event = Answered | Body | Refused | Leaves | Gone


class Http2Client(Http2End):
    """Feed it by `receive`, fetch what it wants to send by `output`. Calls for a stream that is gone do nothing."""

    def __init__(self, known: Mapping[bytes, Headers]) -> None:
        """`known`: header blocks whose meaning does not depend on what came before."""
        ours = {
            Setting.ENABLE_PUSH: 0,
            Setting.INITIAL_WINDOW_SIZE: OUR_WINDOW,
            Setting.MAX_HEADER_LIST_SIZE: HEADER_LIMIT,
        }
        super().__init__(f.PREFACE + f.settings(ours), OUR_WINDOW, known)
        self._encoder = BlockEncoder()
        self._next, self._most = 1, f.MAX_WINDOW
        self._greeted = False
        self._events: list[Event] = []

    @property
    def full(self) -> bool:
        """Whether the peer's limit of streams is reached."""
        return len(self._streams) >= self._most

    def open(self, fields: Sequence[tuple[bytes, bytes]], body: bytes) -> int:
        """Begin a request and queue its body, which is all of it and not empty; the stream's number.

        What the windows do not let through now goes later. Not to be called after `Leaves` and `Gone`.
        """
        stream, self._next = self._next, self._next + 2
        state = self._streams[stream] = Stream(self._initial)
        state.queue, state.ends = body, True
        self._out.append(f.frame(Type.HEADERS, f.END_HEADERS, stream, self._encoder.block(fields)))
        self._flush(stream, state)
        return stream

    def consumed(self, stream: int, size: int) -> None:
        """Bytes of a body need no more room; lets the peer send more."""
        state = self._streams.get(stream)
        if state is not None:
            self._give_back(stream, state, size)

    def reset(self, stream: int, reason: Reason = Reason.CANCEL) -> None:
        """Give a stream up. Idempotent."""
        self._waiting.pop(stream, None)
        if self._streams.pop(stream, None) is not None:
            self._out.append(f.reset(stream, reason))

    def receive(self, data: bytes) -> list[Event]:
        """What the bytes mean, however they are cut; nothing after the end."""
        if self._dead:
            return []
        self._events = []
        try:
            self._greet(data)
            self._process(data)
        except Fault as fault:
            self._die()
            self._out.append(f.goaway(0, fault.reason, str(fault).encode()))
            self._events.append(Gone(str(fault)))
        return self._events

    def _greet(self, data: bytes) -> None:
        """A peer that speaks something else is found out by its first bytes, before they are taken for a length."""
        if not self._greeted:
            begin = self._buffer + data[: f.HEADER_SIZE]
            if len(begin) > 3 and begin[3] != Type.SETTINGS:
                raise Fault(Reason.PROTOCOL_ERROR, "what answers does not speak gRPC")
            self._greeted = len(begin) > 3

    def _on_greeting(self, values: dict[int, int]) -> None:
        self._most = values.get(Setting.MAX_CONCURRENT_STREAMS, self._most)
        self._encoder.limit(values.get(Setting.HEADER_TABLE_SIZE, TABLE_SIZE))

    def _on_block(self, flags: int, stream: int, headers: Headers) -> None:
        if not self._is_known(stream):
            raise Fault(Reason.PROTOCOL_ERROR, "an answer to nothing")
        state = self._streams.get(stream)
        if state is not None:
            end = bool(flags & f.END_STREAM)
            if end:
                self._close(stream, state)
            self._events.append(Answered(stream, headers, end))

    def _on_body(self, stream: int, state: Any, data: bytes, size: int, end: bool) -> None:
        if end:
            self._close(stream, state)
        self._events.append(Body(stream, data, size, end))

    def _on_gone(self, stream: int, reason: int) -> None:
        self._events.append(Refused(stream, reason))

    def _on_goaway(self, flags: int, stream: int, payload: bytes) -> None:
        if stream or len(payload) < 8:
            raise Fault(Reason.FRAME_SIZE_ERROR, "a GOAWAY that is none")
        last = f.word(payload[:4])
        for late in [number for number in self._streams if number > last]:
            del self._streams[late]
            self._waiting.pop(late, None)
            self._events.append(Refused(late, Reason.REFUSED_STREAM))
        self._events.append(Leaves())

    def _close(self, stream: int, state: Stream) -> None:
        """The answer is whole; what was not sent of the request is of no interest any more."""
        state.open = False
        if stream in self._waiting:
            self.reset(stream, Reason.NO_ERROR)
        else:
            del self._streams[stream]

    def _is_known(self, stream: int) -> bool:
        return stream % 2 == 1 and stream < self._next
