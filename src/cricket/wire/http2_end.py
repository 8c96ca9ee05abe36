"""What both ends of an HTTP/2 connection do alike (sans I/O; RFC 9113, as far as gRPC needs it).

Frames, header blocks, settings, pings, and the windows of what goes out. Not here: push, priorities. `msgspec` and
`hpack` are not imported with this: a command that asks one question does without them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from cricket.wire import http2_frames as f
from cricket.wire.http2_frames import Fault, Reason, Setting, Type

HEADER_LIMIT = 16 << 10
"""Bytes of a header list, as HPACK counts them."""

_BLOCKS = 32
"""Header blocks whose meaning is remembered."""

Headers = dict[bytes, bytes]


class Stream:
    """A stream as both ends see it: what waits to be sent (`queue` from `sent` on) and how much may be sent."""

    __slots__ = ("window", "credit", "queue", "sent", "ends", "open")

    def __init__(self, window: int) -> None:
        self.window, self.credit = window, 0
        self.queue, self.sent = b"", 0
        self.ends = False
        """Whether the last byte of the queue ends our direction."""
        self.open = True
        """Whether the peer may still send."""


class Http2End:
    """The base of `Http2Client`. It is fed by `_process`; what it wants to send is fetched by `output`."""

    def __init__(self, greeting: bytes, window: int, known: Mapping[bytes, Headers]) -> None:
        """`window`: bytes that a stream, and all streams together, may have under way towards us. `known`: header
        blocks whose meaning does not depend on what came before."""
        self._buffer = b""
        self._dead = False
        self._streams: dict[int, Any] = {}
        self._waiting: dict[int, Any] = {}
        self._window, self._initial, self._frame_size = f.DEFAULT_WINDOW, f.DEFAULT_WINDOW, f.SMALLEST_FRAME
        self._ours, self._credit = window, 0
        self._decoder: Any = None
        self._known, self._blocks = known, dict(known)
        self._block: tuple[int, int, bytes] | None = None
        self._out = [greeting, f.window_update(0, window - f.DEFAULT_WINDOW)]
        self._handlers: dict[int, Callable[[int, int, bytes], None]] = {
            Type.DATA: self._on_data,
            Type.HEADERS: self._on_headers,
            Type.RST_STREAM: self._on_reset,
            Type.SETTINGS: self._on_settings,
            Type.PING: self._on_ping,
            Type.GOAWAY: self._on_goaway,
            Type.WINDOW_UPDATE: self._on_window,
            Type.CONTINUATION: self._on_continuation,
            Type.PUSH_PROMISE: self._on_push,
        }

    def output(self) -> bytes:
        """The bytes to send now."""
        data = b"".join(self._out)
        self._out.clear()
        return data

    # --- what the two ends do in their own way ----------------------------------------------------------------

    def _on_block(self, flags: int, stream: int, headers: Headers) -> None:
        """The headers of a stream are whole."""
        raise NotImplementedError

    def _on_body(self, stream: int, state: Any, data: bytes, size: int, end: bool) -> None:
        """Bytes of an open stream that took `size` of its window."""
        raise NotImplementedError

    def _on_gone(self, stream: int, reason: int) -> None:
        """The peer gave the stream up."""
        raise NotImplementedError

    def _on_goaway(self, flags: int, stream: int, payload: bytes) -> None:
        """The peer takes no new streams."""

    def _on_greeting(self, values: dict[int, int]) -> None:
        """Settings of the peer's that only one end looks at."""

    def _flushed(self, stream: int, state: Any, told: bool) -> None:
        """All that was queued has gone out; `told` when somebody may wait for this."""

    def _is_known(self, stream: int) -> bool:
        """Whether the stream is, or was."""
        raise NotImplementedError

    # --- what comes in ----------------------------------------------------------------------------------------

    def _process(self, data: bytes) -> None:
        """Take bytes, however they are cut. Raises Fault."""
        data, start = (self._buffer + data if self._buffer else data), 0
        end = len(data)
        while end - start >= f.HEADER_SIZE:
            length, kind, flags, stream = f.head(data, start)
            if length > f.SMALLEST_FRAME:
                raise Fault(Reason.FRAME_SIZE_ERROR, "a frame that is too large")
            body = start + f.HEADER_SIZE
            if end - body < length:
                break
            start = body + length
            if self._block is not None and (kind != Type.CONTINUATION or stream != self._block[0]):
                raise Fault(Reason.PROTOCOL_ERROR, "a header block was interrupted")
            handler = self._handlers.get(kind)
            if handler is not None:
                handler(flags, stream, data[body:start])
        self._buffer = data[start:]

    def _on_headers(self, flags: int, stream: int, payload: bytes) -> None:
        self._gather(flags, stream, flags, f.unpadded(flags, payload))

    def _on_continuation(self, flags: int, stream: int, payload: bytes) -> None:
        if self._block is None:
            raise Fault(Reason.PROTOCOL_ERROR, "a continuation of nothing")
        _, first, block = self._block
        if len(block) + len(payload) > 4 * HEADER_LIMIT:
            raise Fault(Reason.ENHANCE_YOUR_CALM, "too many headers")
        self._gather(flags, stream, first, block + payload)

    def _gather(self, flags: int, stream: int, first: int, block: bytes) -> None:
        if flags & f.END_HEADERS:
            self._block = None
            # Always read, also for a stream that is gone: later blocks refer to it.
            self._on_block(first, stream, self._headers(block))
        else:
            self._block = (stream, first, block)

    def _headers(self, block: bytes) -> Headers:
        """The fields of a block. One that leaves the table alone means the same until the table changes."""
        headers = self._blocks.get(block)
        if headers is None:
            import hpack

            if self._decoder is None:
                self._decoder = hpack.Decoder(HEADER_LIMIT)
            before = self._table()
            try:
                fields = self._decoder.decode(block, raw=True)
            except hpack.OversizedHeaderListError:
                raise Fault(Reason.ENHANCE_YOUR_CALM, "too many headers") from None
            except hpack.HPACKError:
                raise Fault(Reason.COMPRESSION_ERROR, "headers that cannot be read") from None
            headers = {bytes(name): bytes(value) for name, value in fields}
            after = self._table()
            if after[:2] != before[:2] or after[2] is not before[2] or len(self._blocks) >= _BLOCKS:
                self._blocks = dict(self._known)
            else:
                self._blocks[block] = headers
        return headers

    def _table(self) -> tuple[int, int, object]:
        """The limit and length of the decoder's table, and its newest entry: every change makes one of them another."""
        table = self._decoder.header_table
        entries = table.dynamic_entries
        return table.maxsize, len(entries), entries[0] if entries else None

    def _on_data(self, flags: int, stream: int, payload: bytes) -> None:
        if not self._is_known(stream):
            raise Fault(Reason.PROTOCOL_ERROR, "a frame for a stream that never was")
        # What comes in is taken at once, and only streams have to wait for those who read them.
        size = len(payload)
        self._credit += size
        if self._credit >= self._ours // 2:
            self._out.append(f.window_update(0, self._credit))
            self._credit = 0
        state = self._streams.get(stream)
        if state is None:
            return
        if not state.open:
            raise Fault(Reason.STREAM_CLOSED, "data after the end")
        self._on_body(stream, state, f.unpadded(flags & ~f.PRIORITISED, payload), size, bool(flags & f.END_STREAM))

    def _on_reset(self, flags: int, stream: int, payload: bytes) -> None:
        reason = f.word(payload)
        if not self._is_known(stream):
            raise Fault(Reason.PROTOCOL_ERROR, "a frame for a stream that never was")
        self._waiting.pop(stream, None)
        if self._streams.pop(stream, None) is not None:
            self._on_gone(stream, reason)

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
            self._grow(state, grown)
        self._on_greeting(values)
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
        if not self._is_known(stream):
            raise Fault(Reason.PROTOCOL_ERROR, "a frame for a stream that never was")
        state = self._streams.get(stream)
        if state is not None:
            self._grow(state, by)
            if stream in self._waiting:
                self._flush(stream, state, told=True)

    @staticmethod
    def _grow(state: Any, by: int) -> None:
        state.window += by
        if state.window > f.MAX_WINDOW:
            raise Fault(Reason.FLOW_CONTROL_ERROR, "a window that is too large")

    def _on_push(self, flags: int, stream: int, payload: bytes) -> None:
        raise Fault(Reason.PROTOCOL_ERROR, "a push that nobody wants")

    def _die(self) -> None:
        self._dead = True
        self._buffer = b""
        self._streams.clear()
        self._waiting.clear()

    # --- what goes out ----------------------------------------------------------------------------------------

    def _give_back(self, stream: int, state: Any, size: int) -> None:
        """So many bytes of the stream need no more room."""
        state.credit += size
        if state.credit >= self._ours // 2 and state.open:
            self._out.append(f.window_update(stream, state.credit))
            state.credit = 0

    def _flush_waiting(self) -> None:
        for stream, state in tuple(self._waiting.items()):
            if self._window <= 0 and state.queue:
                break
            self._flush(stream, state, told=True)

    def _flush(self, stream: int, state: Any, *, told: bool = False) -> None:
        """Send what the windows allow; `told` when somebody may wait for what happens then."""
        size = min(len(state.queue) - state.sent, state.window, self._window)
        if size > 0:
            end = state.sent + size
            last = end if state.ends and end == len(state.queue) else -1
            for start in range(state.sent, end, self._frame_size):
                stop = min(start + self._frame_size, end)
                flags = f.END_STREAM if stop == last else 0
                self._out.append(f.frame(Type.DATA, flags, stream, state.queue[start:stop]))
            state.window -= size
            self._window -= size
            state.sent = end
        self._waiting.pop(stream, None)
        if state.sent < len(state.queue):
            self._waiting[stream] = state  # behind the others, which are served first when the window opens
            return
        state.queue, state.sent = b"", 0
        self._flushed(stream, state, told)
