"""What both ends of an HTTP/2 connection do alike with what comes in (sans I/O; RFC 9113, as far as gRPC needs it).

Frames, the pieces of header blocks, settings, pings, windows. Neither `msgspec` nor `hpack` is imported with this: a
command that asks one question does without them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

from cricket.wire import http2_frames as f
from cricket.wire.header_blocks import HEADER_LIMIT
from cricket.wire.http2_frames import Fault, Reason, Setting, Type
from cricket.wire.http2_output import Output, Stream

_HEADERS = int(Type.HEADERS)
_CONTINUATIONS = 16
"""Frames of one header block after the first."""


class Http2End(ABC):
    """The base of `Http2Server` and `Http2Client`. Calls for a stream that is gone do nothing."""

    def __init__(self, output: Output, streams: dict[int, Stream], window: int, ours: dict[Setting, int]) -> None:
        """`window`: bytes that a stream, and all streams together, may have under way towards us; `ours`: settings
        beside it."""
        self.greeted = False
        """Whether the peer has shown that it speaks HTTP/2."""
        self.chatter = 0
        """Frames that brought nothing, less what the end that counts them takes off. Whoever knows the time sets it
        back."""
        self._buffer = b""
        self._dead = False
        self._streams, self._out = streams, output
        self._room, self._credit = window, 0
        self._block: tuple[int, int, bytes] | None = None
        self._continuations = 0
        values = {Setting.INITIAL_WINDOW_SIZE: window, Setting.MAX_HEADER_LIST_SIZE: HEADER_LIMIT, **ours}
        self._out.control(f.settings(values) + f.window_update(0, window - f.DEFAULT_WINDOW))
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

    # --- what the two ends do in their own way ----------------------------------------------------------------

    @abstractmethod
    def _on_block(self, flags: int, stream: int, block: bytes) -> None:
        """A header block is whole. Raises Fault."""

    @abstractmethod
    def _on_body(self, stream: int, data: bytes, end: bool, size: int) -> None:
        """Bytes of a stream, which took `size` of the windows. Raises Fault."""

    @abstractmethod
    def _on_lost(self, stream: int, reason: int) -> None:
        """An open stream is no more: the peer, or one of the rules, wanted it."""

    @abstractmethod
    def _was(self, stream: int) -> bool:
        """Whether a stream of this number has ever been."""

    def _on_goaway(self, flags: int, stream: int, payload: bytes) -> None:
        """The peer takes no new streams."""
        if stream:
            raise Fault(Reason.PROTOCOL_ERROR, "a GOAWAY of a stream")

    # --- what comes in ----------------------------------------------------------------------------------------

    def _feed(self, data: bytes, start: int = 0) -> None:
        """Take bytes from `start` on; what is no whole frame is kept in the buffer. Raises Fault."""
        end = len(data)
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

    def _on_data(self, flags: int, stream: int, payload: bytes) -> None:
        self._known(stream)
        # The window of the connection opens at once; what waits to be read counts against that of its stream.
        size = len(payload)
        self._credit += size
        if self._credit >= self._room // 2:
            self._out.control(f.window_update(0, self._credit))
            self._credit = 0
        if flags & f.PADDED:
            payload = f.unpadded(flags & f.PADDED, payload, stream)
        self._on_body(stream, payload, bool(flags & f.END_STREAM), size)

    def _on_priority(self, flags: int, stream: int, payload: bytes) -> None:
        if len(payload) != 5:
            raise Fault(Reason.FRAME_SIZE_ERROR, "a frame of a wrong length")
        if not stream or f.word(payload[:4]) == stream:
            raise Fault(Reason.PROTOCOL_ERROR, "a priority of nothing, or of itself")

    def _on_reset(self, flags: int, stream: int, payload: bytes) -> None:
        reason = f.word(payload)
        self._known(stream)
        self._drop(stream, reason)

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
        raise Fault(Reason.PROTOCOL_ERROR, "a push that nobody wants")

    def _known(self, stream: int) -> None:
        if not self._was(stream):
            raise Fault(Reason.PROTOCOL_ERROR, "a frame for a stream that never was")

    # --- what becomes of streams ------------------------------------------------------------------------------

    def _give_back(self, stream: int, state: Stream, size: int) -> None:
        """So many bytes of a stream, which the peer has not ended, need no more room."""
        state.credit += size
        if state.credit >= self._room // 2:
            self._out.control(f.window_update(stream, state.credit))
            state.credit = 0

    def _break(self, stream: int, reason: Reason = Reason.PROTOCOL_ERROR) -> None:
        """End a stream whose rules were broken."""
        self._out.control(f.reset(stream, reason))
        self._drop(stream, reason)

    def _drop(self, stream: int, reason: int) -> None:
        self._out.forget(stream)
        if self._streams.pop(stream, None) is not None:
            self._on_lost(stream, reason)

    def _die(self, last: int, reason: Reason, words: str) -> None:
        """End the connection: nothing is sent after GOAWAY, nothing that comes in is read."""
        self._dead = True
        self._buffer = b""
        self._streams.clear()
        self._out.clear()
        self._out.control(f.goaway(last, reason, words.encode()))
