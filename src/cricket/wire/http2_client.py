"""The client's end of an HTTP/2 connection as a state machine (sans I/O; RFC 9113), as far as gRPC needs it.

It never raises for what the peer sent: a violation ends in `Gone`, with GOAWAY in the output, or, when it concerns one
stream only, in `Refused`, with RST_STREAM in the output.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from cricket.wire import http2_frames as f
from cricket.wire.header_blocks import TABLE_SIZE, BlockDecoder, BlockEncoder
from cricket.wire.http2_end import Http2End
from cricket.wire.http2_frames import Fault, Reason, Setting, Type
from cricket.wire.http2_output import Output, Stream

OUR_WINDOW = 4 << 20
"""Bytes that a stream, and all streams together, may have under way towards us: most lists need no more."""

_BLOCKS = 32
"""Header blocks whose meaning is remembered."""

Headers = dict[bytes, bytes]


class Answered(NamedTuple):
    """Headers of an answer, or its trailers: those have the `end`. Not to be changed."""

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
    """The peer gave the stream up, for a `Reason` or one of a number that we do not know; or it broke its rules."""

    stream: int
    reason: int


class Leaves(NamedTuple):
    """The peer takes no new streams; those that it had not begun were `Refused`."""


class Gone(NamedTuple):
    """The connection is over: the peer broke the protocol."""

    words: str


Event = Answered | Body | Refused | Leaves | Gone


class _Requests(Output):
    """Streams that we end, and that stay until they are answered."""

    def whole(self, number: int, stream: Stream, body: bytes) -> None:
        """Send all of a body and the end, or queue them."""
        size = len(body)
        if self._waiting or size > min(self._frame_size, self._initial - stream.spent, self._window):
            self.data(number, stream, body)
            self.finish(number, stream, b"")
            return
        stream.spent += size
        self._window -= size
        self.control(f.frame(Type.DATA, f.END_STREAM, number, body))

    def _finish(self, number: int, stream: Stream) -> None:
        self.control(f.frame(Type.DATA, f.END_STREAM, number))


class Http2Client(Http2End):
    """Feed it by `receive`, fetch what it wants to send by `output`. Calls for a stream that is gone do nothing."""

    def __init__(self, known: Mapping[bytes, Headers]) -> None:
        """`known`: header blocks whose meaning does not depend on what came before."""
        streams: dict[int, Stream] = {}
        self._requests = _Requests(streams)
        self._requests.control(f.PREFACE)
        super().__init__(self._requests, streams, OUR_WINDOW, {Setting.ENABLE_PUSH: 0})
        self._encoder, self._decoder = BlockEncoder(), BlockDecoder()
        self._known_blocks, self._blocks = known, dict(known)
        self._next, self._most = 1, f.MAX_WINDOW
        self._events: list[Event] = []

    @property
    def full(self) -> bool:
        """Whether the peer's limit of streams is reached."""
        return len(self._streams) >= self._most

    def open(self, fields: Sequence[tuple[bytes, bytes]], body: bytes) -> int:
        """Begin a request whose body is all of it; the stream's number. Not to be called after `Leaves` and `Gone`."""
        stream, self._next = self._next, self._next + 2
        state = self._streams[stream] = Stream()
        self._out.headers(stream, self._encoder.block(fields))
        self._requests.whole(stream, state, body)
        return stream

    def consumed(self, stream: int, size: int) -> None:
        """Bytes of a body need no more room; lets the peer send more."""
        state = self._streams.get(stream)
        if state is not None:
            self._give_back(stream, state, size)

    def reset(self, stream: int, reason: Reason = Reason.CANCEL) -> None:
        """Give a stream up. Idempotent."""
        self._out.forget(stream)
        if self._streams.pop(stream, None) is not None:
            self._out.control(f.reset(stream, reason))

    def output(self) -> bytes:
        """Bytes to send now, a few hundred KiB at most; to be called again until there are none."""
        return self._out.fetch()[0]

    def receive(self, data: bytes) -> list[Event]:
        """What the bytes mean, however they are cut; nothing after the end."""
        if self._dead:
            return []
        self._events = []
        data = self._buffer + data if self._buffer else data
        try:
            # Found out by the first bytes, before they are taken for a length.
            if not self.greeted and len(data) > 3 and data[3] != Type.SETTINGS:
                raise Fault(Reason.PROTOCOL_ERROR, "what answers does not speak gRPC")
            self._feed(data)
        except Fault as fault:
            self._die(0, fault.reason, str(fault))
            self._events.append(Gone(str(fault)))
        return self._events

    def _on_settings(self, flags: int, stream: int, payload: bytes) -> None:
        super()._on_settings(flags, stream, payload)
        values = f.parse_settings(payload)  # an ACK has none
        self._most = values.get(Setting.MAX_CONCURRENT_STREAMS, self._most)
        self._encoder.limit(values.get(Setting.HEADER_TABLE_SIZE, TABLE_SIZE))

    def _on_block(self, flags: int, stream: int, block: bytes) -> None:
        self._known(stream)
        # Always read, also for a stream that is gone: later blocks refer to it.
        headers, state = self._headers(block), self._streams.get(stream)
        if state is not None:
            end = bool(flags & f.END_STREAM)
            if end:
                self._close(stream)
            self._events.append(Answered(stream, headers, end))

    def _headers(self, block: bytes) -> Headers:
        """The fields of a block. One that leaves the table alone means the same until the table changes."""
        headers = self._blocks.get(block)
        if headers is None:
            before = self._decoder.table()
            headers = dict(self._decoder.fields(block))
            after = self._decoder.table()
            if after[:2] != before[:2] or after[2] is not before[2] or len(self._blocks) >= _BLOCKS:
                self._blocks = dict(self._known_blocks)
            else:
                self._blocks[block] = headers
        return headers

    def _on_body(self, stream: int, data: bytes, end: bool, size: int) -> None:
        if stream in self._streams:
            if end:
                self._close(stream)
            self._events.append(Body(stream, data, size, end))

    def _on_lost(self, stream: int, reason: int) -> None:
        self._events.append(Refused(stream, reason))

    def _on_goaway(self, flags: int, stream: int, payload: bytes) -> None:
        super()._on_goaway(flags, stream, payload)
        if len(payload) < 8:
            raise Fault(Reason.FRAME_SIZE_ERROR, "a GOAWAY of a wrong length")
        last = f.word(payload[:4])
        for late in [number for number in self._streams if number > last]:
            self._drop(late, Reason.REFUSED_STREAM)
        self._events.append(Leaves())

    def _close(self, stream: int) -> None:
        """The answer is whole; what was not sent of the request is of no interest any more."""
        if self._out.waits(stream):
            self.reset(stream, Reason.NO_ERROR)
        else:
            del self._streams[stream]

    def _was(self, stream: int) -> bool:
        return stream % 2 == 1 and stream < self._next
