"""The server's end of an HTTP/2 connection as a state machine (sans I/O; RFC 9113), as far as gRPC needs it.

What libraries have is general and costs more than the answers (docs/dependencies.md); header blocks are read by
`hpack`, and written as literals, so that no state is shared in that direction. Not here: push, priorities.

Like a `Mux`, it never raises for what the peer sent: a violation ends in `Gone`, with GOAWAY in the output.
"""

from __future__ import annotations

from collections.abc import Callable

import hpack
import msgspec

from cricket.wire import http2_frames as f
from cricket.wire.http2_frames import Fault, Reason, Setting, Type
from cricket.wire.mux import Gone

OUR_WINDOW = 1 << 20
"""Bytes that a stream, and all streams together, may have under way towards us."""
HEADER_LIMIT = 16 << 10
MAX_STREAMS = 4000
"""Streams of one connection; those who ignore it are refused."""

_BLOCKS = 32
"""Header blocks whose meaning is remembered."""


class Request(msgspec.Struct, frozen=True):
    """The peer opened a stream."""

    stream: int
    headers: dict[bytes, bytes]


class Body(msgspec.Struct, frozen=True):
    """Bytes of a request; `end` with the last ones, which may be none."""

    stream: int
    data: bytes
    end: bool


class Cancelled(msgspec.Struct, frozen=True):
    """The peer gave the stream up."""

    stream: int


class Sent(msgspec.Struct, frozen=True):
    """What was queued for the stream has gone out."""

    stream: int


Event = Request | Body | Cancelled | Sent | Gone


class _Stream:
    __slots__ = ("window", "credit", "queue", "sent", "trailers", "open")

    def __init__(self, window: int) -> None:
        self.window, self.credit = window, 0
        self.queue, self.sent = b"", 0
        self.trailers: bytes | None = None
        self.open = True
        """Whether the peer may still send."""


class Http2Server:
    """Feed it by `receive`, fetch what it wants to send by `output`. Calls for a stream that is gone do nothing."""

    def __init__(self) -> None:
        self._buffer = b""
        self._greeted = False
        self._dead = self._leaving = False
        self._streams: dict[int, _Stream] = {}
        self._waiting: dict[int, _Stream] = {}
        self._last = 0
        self._window, self._initial, self._frame_size, self._credit = f.DEFAULT_WINDOW, f.DEFAULT_WINDOW, 1 << 14, 0
        self._hpack = hpack.Decoder(HEADER_LIMIT)
        self._blocks: dict[bytes, dict[bytes, bytes]] = {}
        self._block: tuple[int, int, bytes] | None = None
        self._events: list[Event] = []
        ours = {
            Setting.INITIAL_WINDOW_SIZE: OUR_WINDOW,
            Setting.MAX_HEADER_LIST_SIZE: HEADER_LIMIT,
            Setting.MAX_CONCURRENT_STREAMS: MAX_STREAMS,
        }
        self._out = [f.settings(ours), f.window_update(0, OUR_WINDOW - f.DEFAULT_WINDOW)]
        self._handlers: dict[int, Callable[[int, int, bytes], None]] = {
            Type.DATA: self._on_data,
            Type.HEADERS: self._on_headers,
            Type.RST_STREAM: self._on_reset,
            Type.SETTINGS: self._on_settings,
            Type.PING: self._on_ping,
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
            self._events.append(self._die(fault.reason, str(fault)))
        except hpack.OversizedHeaderListError:
            self._events.append(self._die(Reason.ENHANCE_YOUR_CALM, "too many headers"))
        except hpack.HPACKError:
            self._events.append(self._die(Reason.COMPRESSION_ERROR, "headers that cannot be read"))
        return self._events

    def output(self) -> bytes:
        """The bytes to send now."""
        data = b"".join(self._out)
        self._out.clear()
        return data

    def _feed(self, data: bytes) -> None:
        start, end = 0, len(data)
        if not self._greeted:
            if not f.PREFACE.startswith(data[:24]):
                raise Fault(Reason.PROTOCOL_ERROR, "this is not HTTP/2")
            if end < len(f.PREFACE):
                self._buffer = data
                return
            self._greeted, start = True, len(f.PREFACE)
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
        if self._block is not None and (kind != Type.CONTINUATION or stream != self._block[0]):
            raise Fault(Reason.PROTOCOL_ERROR, "a header block was interrupted")
        handler = self._handlers.get(kind)
        if handler is not None:
            handler(flags, stream, payload)

    def _on_headers(self, flags: int, stream: int, payload: bytes) -> None:
        block = f.unpadded(flags, payload)
        if flags & f.END_HEADERS:
            self._on_block(flags, stream, block)
        else:
            self._block = (stream, flags, block)

    def _on_continuation(self, flags: int, stream: int, payload: bytes) -> None:
        if self._block is None:
            raise Fault(Reason.PROTOCOL_ERROR, "a continuation of nothing")
        _, first, block = self._block
        block += payload
        if len(block) > 4 * HEADER_LIMIT:
            raise Fault(Reason.ENHANCE_YOUR_CALM, "too many headers")
        if flags & f.END_HEADERS:
            self._block = None
            self._on_block(first, stream, block)
        else:
            self._block = (stream, first, block)

    def _on_block(self, flags: int, stream: int, block: bytes) -> None:
        # Always read, also for a stream that is gone: later blocks refer to it.
        headers = self._headers(block)
        end = bool(flags & f.END_STREAM)
        if stream <= self._last:
            # The trailers of a request say nothing in gRPC but that it ends.
            if not end:
                raise Fault(Reason.PROTOCOL_ERROR, "headers in the middle of a stream")
            self._on_body(stream, b"", end)
            return
        if stream % 2 == 0:
            raise Fault(Reason.PROTOCOL_ERROR, "a stream of a wrong number")
        self._last = stream
        if self._leaving or len(self._streams) >= MAX_STREAMS:
            self._out.append(f.reset(stream, Reason.REFUSED_STREAM))
            return
        self._streams[stream] = _Stream(self._initial)
        self._events.append(Request(stream, headers))
        if end:
            self._on_body(stream, b"", end)

    def _headers(self, block: bytes) -> dict[bytes, bytes]:
        """The fields of a block. One that only refers to the table means the same until the table changes."""
        headers = self._blocks.get(block)
        if headers is None:
            headers = {bytes(name): bytes(value) for name, value in self._hpack.decode(block, raw=True)}
            # A byte from 0x80 to 0xfe is a whole reference (RFC 7541, section 6.1); all else may change the table.
            if block and min(block) < 0x80 or 0xFF in block or len(self._blocks) >= _BLOCKS:
                self._blocks.clear()
            else:
                self._blocks[block] = headers
        return headers

    def _on_data(self, flags: int, stream: int, payload: bytes) -> None:
        self._known(stream)
        # What comes in is taken at once, so windows need no watching: who gathers too much ends the stream.
        self._credit += len(payload)
        if self._credit >= OUR_WINDOW // 2:
            self._out.append(f.window_update(0, self._credit))
            self._credit = 0
        self._on_body(stream, f.unpadded(flags & ~f.PRIORITISED, payload), bool(flags & f.END_STREAM), len(payload))

    def _on_body(self, stream: int, data: bytes, end: bool, size: int = 0) -> None:
        state = self._streams.get(stream)
        if state is None:
            return
        if not state.open:
            raise Fault(Reason.STREAM_CLOSED, "data after the end")
        state.credit += size
        if state.credit >= OUR_WINDOW // 2 and not end:
            self._out.append(f.window_update(stream, state.credit))
            state.credit = 0
        if end:
            state.open = False
        self._events.append(Body(stream, data, end))

    def _on_reset(self, flags: int, stream: int, payload: bytes) -> None:
        f.word(payload)
        self._known(stream)
        self._waiting.pop(stream, None)
        if self._streams.pop(stream, None) is not None:
            self._events.append(Cancelled(stream))

    def _on_settings(self, flags: int, stream: int, payload: bytes) -> None:
        if stream or (flags & f.ACK and payload):
            raise Fault(Reason.PROTOCOL_ERROR, "SETTINGS of a stream")
        if flags & f.ACK:
            return
        values = f.parse_settings(payload)
        self._frame_size = values.get(Setting.MAX_FRAME_SIZE, self._frame_size)
        grown = values.get(Setting.INITIAL_WINDOW_SIZE, self._initial) - self._initial
        self._initial += grown
        for state in self._streams.values():
            state.window += grown
            if state.window > f.MAX_WINDOW:
                raise Fault(Reason.FLOW_CONTROL_ERROR, "a window that is too large")
        self._out.append(f.frame(Type.SETTINGS, f.ACK, 0))
        self._flush_waiting()

    def _on_ping(self, flags: int, stream: int, payload: bytes) -> None:
        if stream or len(payload) != 8:
            raise Fault(Reason.FRAME_SIZE_ERROR, "a PING that is none")
        if not flags & f.ACK:
            self._out.append(f.frame(Type.PING, f.ACK, 0, payload))

    def _on_window(self, flags: int, stream: int, payload: bytes) -> None:
        by = f.word(payload)
        if not by:
            raise Fault(Reason.PROTOCOL_ERROR, "a window that grows by nothing")
        if stream == 0:
            self._window += by
            if self._window > f.MAX_WINDOW:
                raise Fault(Reason.FLOW_CONTROL_ERROR, "a window that is too large")
            self._flush_waiting()
            return
        self._known(stream)
        state = self._streams.get(stream)
        if state is not None:
            state.window += by
            if state.window > f.MAX_WINDOW:
                raise Fault(Reason.FLOW_CONTROL_ERROR, "a window that is too large")
            if stream in self._waiting:
                self._flush(stream, state, told=True)

    def _on_push(self, flags: int, stream: int, payload: bytes) -> None:
        raise Fault(Reason.PROTOCOL_ERROR, "a client cannot push")

    def _known(self, stream: int) -> None:
        if not stream or stream > self._last or stream % 2 == 0:
            raise Fault(Reason.PROTOCOL_ERROR, "a frame for a stream that never was")

    def _die(self, reason: Reason, words: str) -> Gone:
        self._dead = True
        self._buffer = b""
        self._streams.clear()
        self._waiting.clear()
        self._out.append(f.goaway(self._last, reason, words.encode()))
        return Gone(words, violation=True)

    # --- what goes out ----------------------------------------------------------------------------------------

    def headers(self, stream: int, block: bytes) -> None:
        """Begin the answer."""
        if stream in self._streams:
            self._out.append(f.frame(Type.HEADERS, f.END_HEADERS, stream, block))

    def send(self, stream: int, data: bytes) -> None:
        """Queue bytes of the answer; what the windows do not let through now goes later, and `Sent` tells."""
        state = self._streams.get(stream)
        if state is not None:
            state.queue, state.sent = (state.queue[state.sent :] + data if state.queue else data), 0
            self._flush(stream, state)

    def waits(self, stream: int) -> bool:
        """Whether queued bytes wait for the peer's window."""
        return stream in self._waiting

    def end(self, stream: int, trailers: bytes) -> None:
        """End the answer, after what is queued; the peer need not send more, whatever it had in mind."""
        state = self._streams.get(stream)
        if state is not None:
            state.trailers = trailers
            self._flush(stream, state)

    def leave(self) -> None:
        """Say that no new streams are taken; those that are open go on."""
        if not self._dead and not self._leaving:
            self._leaving = True
            self._out.append(f.goaway(self._last, Reason.NO_ERROR))

    def _flush_waiting(self) -> None:
        for stream, state in tuple(self._waiting.items()):
            if self._window <= 0 and state.queue:
                break
            self._flush(stream, state, told=True)

    def _flush(self, stream: int, state: _Stream, *, told: bool = False) -> None:
        """Send what the windows allow; `told` when somebody may wait for the event."""
        size = min(len(state.queue) - state.sent, state.window, self._window)
        if size > 0:
            end = state.sent + size
            for start in range(state.sent, end, self._frame_size):
                part = state.queue[start : min(start + self._frame_size, end)]
                self._out.append(f.frame(Type.DATA, 0, stream, part))
            state.window -= size
            self._window -= size
            state.sent = end
        self._waiting.pop(stream, None)
        if state.sent < len(state.queue):
            self._waiting[stream] = state  # behind the others, which are served first when the window opens
            return
        state.queue, state.sent = b"", 0
        if state.trailers is not None:
            self._out.append(f.frame(Type.HEADERS, f.END_HEADERS | f.END_STREAM, stream, state.trailers))
            if state.open:
                self._out.append(f.reset(stream, Reason.NO_ERROR))
            del self._streams[stream]
        elif told:
            self._events.append(Sent(stream))
