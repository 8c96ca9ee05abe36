"""The server's end of an HTTP/2 connection as a state machine (sans I/O; RFC 9113), as far as gRPC needs it.

What libraries have is general and costs more than the answers (docs/dependencies.md). Not here: push, priorities.

Like a `Mux`, it never raises for what the peer sent: a violation ends in `Gone`, with GOAWAY in the output, or, when it
concerns one stream only, in `Cancelled`, with RST_STREAM in the output.
"""

from __future__ import annotations

import msgspec

from cricket.wire import http2_frames as f
from cricket.wire.http2_end import Http2End
from cricket.wire.http2_frames import Fault, Reason, Setting
from cricket.wire.http2_headers import HeaderReader, Malformed
from cricket.wire.http2_output import Output, Stream
from cricket.wire.mux import Gone

OUR_WINDOW = 1 << 20
"""Bytes that a stream, and all streams together, may have under way towards us."""
MAX_STREAMS = 1000
"""Streams of one connection; those who ignore it are refused."""

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


class Http2Server(Http2End):
    """Feed it by `receive`, fetch what it wants to send by `output`. Calls for a stream that is gone do nothing.

    `chatter` is less by two for each frame of data and each answer that went out.
    """

    def __init__(self) -> None:
        streams: dict[int, Stream] = {}
        super().__init__(Output(streams), streams, OUR_WINDOW, {Setting.MAX_CONCURRENT_STREAMS: MAX_STREAMS})
        self._preface = self._leaving = False
        self._last = self._lenient = 0
        self._reader = HeaderReader()
        self._events: list[Event] = []

    # --- what comes in ----------------------------------------------------------------------------------------

    def receive(self, data: bytes) -> list[Event]:
        """What the bytes mean; nothing after the end."""
        if self._dead:
            return []
        self._events = []
        try:
            self._greet(self._buffer + data if self._buffer else data)
        except Fault as fault:
            self._events.append(self.die(fault.reason, str(fault)))
        return self._events

    def _greet(self, data: bytes) -> None:
        if self._preface:
            self._feed(data)
            return
        if not f.PREFACE.startswith(data[:24]):
            raise Fault(Reason.PROTOCOL_ERROR, "this is not HTTP/2")
        if len(data) < len(f.PREFACE):
            self._buffer = data
            return
        self._preface = True
        self._feed(data, len(f.PREFACE))

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

    def _on_body(self, stream: int, data: bytes, end: bool, size: int = 0) -> None:
        # Windows need no watching: who gathers too much ends the stream.
        if len(data) < _LITTLE and not end:
            self.chatter += 1
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
            self._give_back(stream, state, size)
        self._events.append(Body(stream, data, end))

    def _on_lost(self, stream: int, reason: int) -> None:
        self._events.append(Cancelled(stream))

    def _was(self, stream: int) -> bool:
        return stream % 2 == 1 and stream <= self._last

    # --- ends -------------------------------------------------------------------------------------------------

    def _refuse(self, stream: int, reason: Reason) -> None:
        """Do not take a stream; what was on its way for it says nothing."""
        self.chatter += 1
        self._lenient = stream
        self._out.control(f.reset(stream, reason))

    def _break(self, stream: int, reason: Reason = Reason.PROTOCOL_ERROR) -> None:
        self._lenient = max(self._lenient, stream)
        super()._break(stream, reason)

    def die(self, reason: Reason, words: str) -> Gone:
        """End the connection: nothing is sent after GOAWAY, nothing that comes in is read."""
        self._die(self._last, reason, words)
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
