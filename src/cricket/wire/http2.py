"""The server's end of an HTTP/2 connection as a state machine (sans I/O; RFC 9113), as far as gRPC needs it.

What libraries have is general and costs more than the answers (docs/dependencies.md). Not here: push, priorities.

Like a `Mux`, it never raises for what the peer sent: a violation ends in `Gone`, with GOAWAY in the output, or, when it
concerns one stream only, in `Cancelled`, with RST_STREAM in the output.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from cricket.wire import http2_frames as f
from cricket.wire.http2_frames import Fault, Reason, Setting, Type
from cricket.wire.http2_headers import HEADER_LIMIT, HeaderReader, Malformed
from cricket.wire.http2_output import Output, Stream
from cricket.wire.mux import Gone

OUR_WINDOW = 1 << 20
"""Bytes that a stream, and all streams together, may have under way towards us."""
MAX_STREAMS = 1000
"""Streams of one connection; those who ignore it are refused."""

_HEADERS = int(Type.HEADERS)
_CONTINUATIONS = 16
"""Frames of one header block after the first."""
_LITTLE = 256
"""Bytes: a frame with less data of a request, and not the last, is chatter."""


class Request(msgspec.Struct, frozen=True):
    """The peer opened a stream. The headers are not to be changed."""

    stream: int
    headers: dict[bytes, bytes]


class Body(msgspec.Struct, frozen=True):
    """Bytes of a request; `end` with the last ones, which may be none."""

    stream: int
    data: bytes
    end: bool


class Cancelled(msgspec.Struct, frozen=True):
    """The peer gave the stream up, or broke its rules."""

    stream: int


Event = Request | Body | Cancelled | Gone


class Http2Server:
    """Feed it by `receive`, fetch what it wants to send by `output`. Calls for a stream that is gone do nothing."""

    def __init__(self) -> None:
        self.greeted = False
        """Whether the peer has shown that it speaks HTTP/2."""
        self.chatter = 0
        """Frames that brought nothing, less two for each frame of data and each answer that went out. Whoever knows the
        time sets it back."""
        self._buffer = b""
        self._preface = self._dead = self._leaving = False
        self._streams: dict[int, Stream] = {}
        self._out = Output(self._streams)
        self._last = self._lenient = 0
        self._credit = 0
        self._reader = HeaderReader()
        self._block: tuple[int, int, bytes] | None = None
        self._continuations = 0
        self._events: list[Event] = []
        ours = {
            Setting.INITIAL_WINDOW_SIZE: OUR_WINDOW,
            Setting.MAX_HEADER_LIST_SIZE: HEADER_LIMIT,
            Setting.MAX_CONCURRENT_STREAMS: MAX_STREAMS,
        }
        self._out.control(f.settings(ours) + f.window_update(0, OUR_WINDOW - f.DEFAULT_WINDOW))
        self._handlers: dict[int, Callable[[int, int, bytes], None]] = {
            Type.DATA: self._on_data,
            Type.HEADERS: self._on_headers,
            Type.PRIORITY: self._on_priority,
            Type.RST_STREAM: self._on_reset,
            Type.SETTINGS: self._on_settings,
            Type.PING: self._on_ping,
            Type.GOAWAY: self._on_goaway,
            Type.WINDOW_UPDATE: self._on_window,
            Type.CONTINUATION: self._on_continuation,
            Type.PUSH_PROMISE: self._on_push,
        }

    # --- what comes in ----------------------------------------------------------------------------------------

    def receive(self, data: bytes) -> list[Event]:
        """What the bytes mean; nothing after the end."""
        if self._dead:
            return []
        self._events = []
        try:
            self._feed(self._buffer + data if self._buffer else data)
        except Fault as fault:
            self._events.append(self.die(fault.reason, str(fault)))
        return self._events

    def _feed(self, data: bytes) -> None:
        start, end = 0, len(data)
        if not self._preface:
            if not f.PREFACE.startswith(data[:24]):
                raise Fault(Reason.PROTOCOL_ERROR, "this is not HTTP/2")
            if end < len(f.PREFACE):
                self._buffer = data
                return
            self._preface, start = True, len(f.PREFACE)
        while end - start >= f.HEADER_SIZE:
            length, kind, flags, stream = f.head(data, start)
            if length > f.SMALLEST_FRAME:
                raise Fault(Reason.FRAME_SIZE_ERROR, "a frame that is too large")
            body = start + f.HEADER_SIZE
            if end - body < length:
                break
            start = body + length
            self._on_frame(kind, flags, stream, data[body:start])
        self._buffer = data[start:]

    def _on_frame(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        if kind > _HEADERS:
            self.chatter += 1
        if self._block is not None and (kind != Type.CONTINUATION or stream != self._block[0]):
            raise Fault(Reason.PROTOCOL_ERROR, "a header block was interrupted")
        if not self.greeted:
            if kind != Type.SETTINGS or flags & f.ACK:
                raise Fault(Reason.PROTOCOL_ERROR, "the first frame has to be SETTINGS")
            self.greeted = True
        handler = self._handlers.get(kind)
        if handler is not None:
            handler(flags, stream, payload)

    def _on_headers(self, flags: int, stream: int, payload: bytes) -> None:
        block = f.unpadded(flags, payload, stream)
        if flags & f.END_HEADERS:
            self._on_block(flags, stream, block)
        else:
            self._block, self._continuations = (stream, flags, block), 0

    def _on_continuation(self, flags: int, stream: int, payload: bytes) -> None:
        if self._block is None:
            raise Fault(Reason.PROTOCOL_ERROR, "a continuation of nothing")
        _, first, block = self._block
        block += payload
        self._continuations += 1
        if len(block) > HEADER_LIMIT or self._continuations > _CONTINUATIONS:
            raise Fault(Reason.ENHANCE_YOUR_CALM, "too many headers")
        if flags & f.END_HEADERS:
            self._block = None
            self._on_block(first, stream, block)
        else:
            self._block = (stream, first, block)

    def _on_block(self, flags: int, stream: int, block: bytes) -> None:
        # Always read, also for a stream that is gone: later blocks refer to it.
        if stream % 2 == 0:
            raise Fault(Reason.PROTOCOL_ERROR, "a stream of a wrong number")
        end = bool(flags & f.END_STREAM)
        if stream <= self._last:
            self._on_trailers(stream, block, end)
            return
        self._last = stream
        try:
            headers = self._reader.request(block)
            state = Stream(_length(headers))
        except Malformed:
            self._refuse(stream, Reason.PROTOCOL_ERROR)
            return
        if self._leaving or len(self._streams) >= MAX_STREAMS:
            self._refuse(stream, Reason.REFUSED_STREAM)
            return
        self._streams[stream] = state
        self._events.append(Request(stream, headers))
        if end:
            self._on_body(stream, b"", end)

    def _on_trailers(self, stream: int, block: bytes, end: bool) -> None:
        state = self._streams.get(stream)
        if state is None and stream > self._lenient:
            # Nobody may use a number again, and there is no telling whether this was meant as a new stream.
            reason = Reason.STREAM_CLOSED if stream == self._last else Reason.PROTOCOL_ERROR
            raise Fault(reason, "headers after the end")
        if state is not None and not state.open:
            raise Fault(Reason.STREAM_CLOSED, "headers after the end")
        if state is not None and not end:
            raise Fault(Reason.PROTOCOL_ERROR, "headers in the middle of a stream")
        try:
            self._reader.trailers(block)
        except Malformed:
            self._break(stream)
            return
        self._on_body(stream, b"", end)

    def _on_data(self, flags: int, stream: int, payload: bytes) -> None:
        self._known(stream)
        # What comes in is taken at once, so windows need no watching: who gathers too much ends the stream.
        size = len(payload)
        self._credit += size
        if self._credit >= OUR_WINDOW // 2:
            self._out.control(f.window_update(0, self._credit))
            self._credit = 0
        end = bool(flags & f.END_STREAM)
        if flags & f.PADDED:
            payload = f.unpadded(flags & f.PADDED, payload, stream)
        if len(payload) < _LITTLE and not end:
            self.chatter += 1
        self._on_body(stream, payload, end, size)

    def _on_body(self, stream: int, data: bytes, end: bool, size: int = 0) -> None:
        state = self._streams.get(stream)
        if state is None:
            if stream > self._lenient:
                raise Fault(Reason.STREAM_CLOSED, "data after the end")
            return
        if not state.open:
            raise Fault(Reason.STREAM_CLOSED, "data after the end")
        if state.missing is not None:
            state.missing -= len(data)
            if state.missing < 0 or (end and state.missing):
                self._break(stream)
                return
        if end:
            state.open = False
        else:
            state.credit += size
            if state.credit >= OUR_WINDOW // 2:
                self._out.control(f.window_update(stream, state.credit))
                state.credit = 0
        self._events.append(Body(stream, data, end))

    def _on_priority(self, flags: int, stream: int, payload: bytes) -> None:
        if len(payload) != 5:
            raise Fault(Reason.FRAME_SIZE_ERROR, "a frame of a wrong length")
        if not stream or f.word(payload[:4]) == stream:
            raise Fault(Reason.PROTOCOL_ERROR, "a priority of nothing, or of itself")

    def _on_reset(self, flags: int, stream: int, payload: bytes) -> None:
        f.word(payload)
        self._known(stream)
        self._drop(stream)

    def _on_settings(self, flags: int, stream: int, payload: bytes) -> None:
        if stream:
            raise Fault(Reason.PROTOCOL_ERROR, "SETTINGS of a stream")
        if flags & f.ACK:
            if payload:
                raise Fault(Reason.FRAME_SIZE_ERROR, "an ACK that says something")
            return
        self._out.on_settings(f.parse_settings(payload))
        self._out.control(f.frame(Type.SETTINGS, f.ACK, 0))

    def _on_ping(self, flags: int, stream: int, payload: bytes) -> None:
        if stream:
            raise Fault(Reason.PROTOCOL_ERROR, "a PING of a stream")
        if len(payload) != 8:
            raise Fault(Reason.FRAME_SIZE_ERROR, "a PING of a wrong length")
        if not flags & f.ACK:
            self._out.control(f.frame(Type.PING, f.ACK, 0, payload))

    def _on_goaway(self, flags: int, stream: int, payload: bytes) -> None:
        # The peer closes the connection when its last stream has ended.
        if stream:
            raise Fault(Reason.PROTOCOL_ERROR, "a GOAWAY of a stream")

    def _on_window(self, flags: int, stream: int, payload: bytes) -> None:
        by = f.word(payload)
        if not by:
            raise Fault(Reason.PROTOCOL_ERROR, "a window that grows by nothing")
        if stream == 0:
            self._out.grow(by)
            return
        self._known(stream)
        state = self._streams.get(stream)
        if state is not None and not self._out.grow_stream(stream, state, by):
            self._break(stream, Reason.FLOW_CONTROL_ERROR)

    def _on_push(self, flags: int, stream: int, payload: bytes) -> None:
        raise Fault(Reason.PROTOCOL_ERROR, "a client cannot push")

    def _known(self, stream: int) -> None:
        if not stream or stream > self._last or stream % 2 == 0:
            raise Fault(Reason.PROTOCOL_ERROR, "a frame for a stream that never was")

    # --- ends -------------------------------------------------------------------------------------------------

    def _refuse(self, stream: int, reason: Reason) -> None:
        """Do not take a stream; what was on its way for it says nothing."""
        self.chatter += 1
        self._lenient = stream
        self._out.control(f.reset(stream, reason))

    def _break(self, stream: int, reason: Reason = Reason.PROTOCOL_ERROR) -> None:
        """End a stream whose rules were broken."""
        self._lenient = max(self._lenient, stream)
        self._out.control(f.reset(stream, reason))
        self._drop(stream)

    def _drop(self, stream: int) -> None:
        self._out.forget(stream)
        if self._streams.pop(stream, None) is not None:
            self._events.append(Cancelled(stream))

    def die(self, reason: Reason, words: str) -> Gone:
        """End the connection: nothing is sent after GOAWAY, nothing that comes in is read."""
        self._dead = True
        self._buffer = b""
        self._streams.clear()
        self._out.clear()
        self._out.control(f.goaway(self._last, reason, words.encode()))
        return Gone(words, violation=True)

    # --- what goes out ----------------------------------------------------------------------------------------

    @property
    def queued(self) -> int:
        """Bytes of answers that wait to be fetched."""
        return self._out.queued

    @property
    def header_limit(self) -> int:
        """Bytes of headers, as HTTP/2 counts them, that the peer takes."""
        return self._out.header_limit

    def output(self) -> bytes:
        """Bytes to send now, a few hundred KiB at most; to be called again until there are none."""
        data, frames = self._out.fetch()
        self.chatter -= 2 * frames
        return data

    def headers(self, stream: int, block: bytes) -> None:
        """Begin the answer."""
        if stream in self._streams:
            self._out.headers(stream, block)

    def send(self, stream: int, *parts: bytes) -> None:
        """Queue bytes of the answer. They are not copied before they are fetched."""
        state = self._streams.get(stream)
        if state is not None:
            self._out.data(stream, state, *parts)

    def waits(self, stream: int) -> bool:
        """Whether bytes of the answer are still to be fetched."""
        return self._out.waits(stream)

    def end(self, stream: int, trailers: bytes) -> None:
        """End the answer, after what is queued; the peer need not send more, whatever it had in mind."""
        state = self._streams.get(stream)
        if state is not None:
            if state.open:
                self._lenient = max(self._lenient, stream)
            self.chatter -= 2
            self._out.finish(stream, state, trailers)

    def leave(self) -> None:
        """Say that no new streams are taken; those that are open go on."""
        if not self._dead and not self._leaving:
            self._leaving = True
            self._out.control(f.goaway(self._last, Reason.NO_ERROR))


def _length(headers: dict[bytes, bytes]) -> int | None:
    text = headers.get(b"content-length")
    if text is None:
        return None
    if not text.isdigit() or len(text) > 18:
        raise Malformed("a content-length that is none")
    return int(text)
