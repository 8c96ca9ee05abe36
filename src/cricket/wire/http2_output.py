"""What an end of HTTP/2 sends: control frames at once, data as windows and a limit of bytes at a time allow (sans I/O).

Streams take turns. Data is kept as it was given, and copied when it goes out: a thousand streams that wait with the
same bytes need them once.
"""

from __future__ import annotations

from collections import deque

from cricket.wire import http2_frames as f
from cricket.wire.http2_frames import Fault, Reason, Type

ROOM = 256 << 10
"""Bytes of data that one `fetch` gives, about: when it gives less, there are no more to be sent now."""
_TURN = 64 << 10
"""Bytes that a stream may send while others wait."""
_DATA, _HEADERS = int(Type.DATA), int(Type.HEADERS)
_EMPTY_TABLE = b"\x20"
"""A dynamic table of size 0 (RFC 7541, section 6.3): what a peer with a smaller one than the usual must hear first."""
_USUAL_TABLE = 4096


class Stream:
    """Both directions of a stream."""

    __slots__ = ("open", "credit", "missing", "spent", "parts", "offset", "queued", "trailers")

    def __init__(self, missing: int | None = None) -> None:
        self.open = True
        """Whether the peer may still send."""
        self.credit = 0
        """Bytes that came in and were not given back to the peer's window."""
        self.missing = missing
        """Bytes that are still to come by the request's content-length."""
        self.spent = 0
        """Bytes sent, less those that the peer's WINDOW_UPDATEs gave back."""
        self.parts: deque[bytes] = deque()
        self.offset = self.queued = 0
        self.trailers: bytes | None = None


class Output:
    """Frames to send, and data that waits. Numbers of streams are the keys of `streams`, which it empties."""

    def __init__(self, streams: dict[int, Stream]) -> None:
        self._streams = streams
        self._frames: list[bytes | memoryview] = []
        self._window, self._initial, self._frame_size = f.DEFAULT_WINDOW, f.DEFAULT_WINDOW, f.SMALLEST_FRAME
        self._granted = 0  # the most that a stream was given beyond the initial window
        self._waiting: dict[int, Stream] = {}
        self._stalled: dict[int, Stream] = {}  # those among the waiting whose own window is closed
        self._prefix = b""
        self.queued = 0
        """Bytes of data that wait."""
        self.header_limit = 1 << 30
        """Bytes of a header block, as the peer counts them."""

    # --- what the peer allows ---------------------------------------------------------------------------------

    def on_settings(self, values: dict[int, int]) -> None:
        """Take over what the peer wants. Raises Fault."""
        if values.get(f.Setting.HEADER_TABLE_SIZE, _USUAL_TABLE) < _USUAL_TABLE:
            self._prefix = _EMPTY_TABLE
        self._frame_size = values.get(f.Setting.MAX_FRAME_SIZE, self._frame_size)
        self.header_limit = values.get(f.Setting.MAX_HEADER_LIST_SIZE, self.header_limit)
        self._initial = values.get(f.Setting.INITIAL_WINDOW_SIZE, self._initial)
        if self._initial + self._granted > f.MAX_WINDOW:
            self._granted = max((-stream.spent for stream in self._streams.values()), default=0)
            if self._initial + self._granted > f.MAX_WINDOW:
                raise Fault(Reason.FLOW_CONTROL_ERROR, "a window that is too large")
        self._waiting |= self._stalled
        self._stalled.clear()

    def grow(self, by: int) -> None:
        """A larger window for all streams together. Raises Fault."""
        self._window += by
        if self._window > f.MAX_WINDOW:
            raise Fault(Reason.FLOW_CONTROL_ERROR, "a window that is too large")

    def grow_stream(self, number: int, stream: Stream, by: int) -> bool:
        """A larger window for one; False when it is larger than a window may be."""
        stream.spent -= by
        self._granted = max(self._granted, -stream.spent)
        if number in self._stalled:
            self._waiting[number] = self._stalled.pop(number)
        return self._initial - stream.spent <= f.MAX_WINDOW

    # --- what is sent -----------------------------------------------------------------------------------------

    def control(self, frame: bytes) -> None:
        """Send a frame before all data."""
        self._frames.append(frame)

    def headers(self, number: int, block: bytes, flags: int = 0) -> None:
        """Send a header block, in as many frames as the peer wants it."""
        if self._prefix:
            block, self._prefix = self._prefix + block, b""
        size = self._frame_size
        if len(block) <= size:
            self._frames.append(f.frame_head(len(block), _HEADERS, flags | f.END_HEADERS, number) + block)
            return
        self._frames.append(f.frame(Type.HEADERS, flags, number, block[:size]))
        for start in range(size, len(block), size):
            last = f.END_HEADERS if start + size >= len(block) else 0
            self._frames.append(f.frame(Type.CONTINUATION, last, number, block[start : start + size]))

    def data(self, number: int, stream: Stream, *parts: bytes) -> None:
        """Queue data of a stream."""
        for part in parts:
            if part:
                stream.parts.append(part)
                stream.queued += len(part)
                self.queued += len(part)
        if stream.queued and number not in self._stalled:
            self._waiting[number] = stream

    def finish(self, number: int, stream: Stream, trailers: bytes) -> None:
        """End a stream after its data, with trailers or, when they are empty, without."""
        stream.trailers = trailers
        if not stream.queued:
            self._finish(number, stream)

    def waits(self, number: int) -> bool:
        """Whether a stream has data that was not fetched."""
        return number in self._waiting or number in self._stalled

    def forget(self, number: int) -> None:
        """Drop what a stream has to send."""
        stream = self._waiting.pop(number, None) or self._stalled.pop(number, None)
        if stream is not None:
            self.queued -= stream.queued

    def clear(self) -> None:
        """Drop what all streams have to send; frames stay."""
        self._waiting.clear()
        self._stalled.clear()
        self.queued = 0

    def fetch(self) -> tuple[bytes, int]:
        """Bytes to send now, and how many frames of data they hold; to be called until there are none."""
        least, frames = self.queued - ROOM, 0
        while self._waiting and self._window > 0 and self.queued > least:
            number = next(iter(self._waiting))
            stream = self._waiting.pop(number)
            size = min(stream.queued, self._initial - stream.spent, self._window, _TURN)
            if size <= 0:
                self._stalled[number] = stream
                continue
            frames += self._write(number, stream, size)
            if stream.queued:
                self._waiting[number] = stream  # behind the others
            elif stream.trailers is not None:
                self._finish(number, stream)
        data = b"".join(self._frames)
        self._frames.clear()
        return data, frames

    def _write(self, number: int, stream: Stream, size: int) -> int:
        stream.spent += size
        stream.queued -= size
        self._window -= size
        self.queued -= size
        frames = 0
        while size:
            length = min(size, self._frame_size)
            self._frames.append(f.frame_head(length, _DATA, 0, number))
            self._take(stream, length)
            size -= length
            frames += 1
        return frames

    def _take(self, stream: Stream, size: int) -> None:
        parts = stream.parts
        while size:
            first = parts[0]
            left = len(first) - stream.offset
            if left > size:
                self._frames.append(memoryview(first)[stream.offset : stream.offset + size])
                stream.offset += size
                return
            self._frames.append(memoryview(first)[stream.offset :] if stream.offset else first)
            parts.popleft()
            stream.offset = 0
            size -= left

    def _finish(self, number: int, stream: Stream) -> None:
        if stream.trailers:
            self.headers(number, stream.trailers, f.END_STREAM)
        else:
            self._frames.append(f.frame(Type.DATA, f.END_STREAM, number))
        if stream.open:
            self._frames.append(f.reset(number, Reason.NO_ERROR))
        del self._streams[number]
