"""Frames of SPDY/3.1, as far as Kubernetes' streaming uses them. Source: SPDY protocol draft 3.1, section 2.2 and 2.6.

Payload of data frames is passed through as it comes in, whatever length a frame announces; control frames are
gathered whole and are therefore limited.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from enum import IntEnum

import msgspec

from cricket.wire.mux import ProtocolViolation
from cricket.wire.spdy_headers import MAX_BLOCK, HeaderDeflater, HeaderInflater

VERSION = 3
FLAG_FIN = 0x01
FLAG_UNIDIRECTIONAL = 0x02
SETTING_INITIAL_WINDOW = 7
MAX_CONTROL = MAX_BLOCK
MAX_DATA = (1 << 24) - 1
_ID = 0x7FFFFFFF


class Type(IntEnum):
    """Types of control frames."""

    SYN_STREAM = 1
    SYN_REPLY = 2
    RST_STREAM = 3
    SETTINGS = 4
    PING = 6
    GOAWAY = 7
    HEADERS = 8
    WINDOW_UPDATE = 9


class Rst(IntEnum):
    """Status codes of RST_STREAM (2.6.3)."""

    PROTOCOL_ERROR = 1
    INVALID_STREAM = 2
    REFUSED_STREAM = 3
    CANCEL = 5
    FLOW_CONTROL_ERROR = 7


class Data(msgspec.Struct, frozen=True):
    """A piece of the payload of a data frame; `fin` only with the last piece of a frame that has it."""

    stream: int
    data: bytes
    fin: bool


class Headers(msgspec.Struct, frozen=True):
    """SYN_STREAM, SYN_REPLY or HEADERS, told apart by `type`."""

    type: Type
    stream: int
    headers: dict[str, str]
    fin: bool = False
    unidirectional: bool = False


class Control(msgspec.Struct, frozen=True):
    """RST_STREAM (stream, status), GOAWAY (last stream, status), WINDOW_UPDATE (stream, delta), PING (id, 0)."""

    type: Type
    stream: int
    value: int = 0


class Settings(msgspec.Struct, frozen=True):
    """SETTINGS as id to value."""

    values: dict[int, int]


Frame = Data | Headers | Control | Settings


class FrameDecoder:
    """Turns bytes of a connection, cut anywhere, into frames. After a ProtocolViolation it must not be fed again."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._inflater = HeaderInflater()
        self._stream = 0
        self._left = 0
        self._fin = False

    def feed(self, data: bytes) -> Iterator[Frame]:
        """Frames that are complete now, and pieces of data frames. Raises ProtocolViolation."""
        buffer = self._buffer
        buffer += data
        while buffer:
            if self._left:
                yield self._piece()
                continue
            if len(buffer) < 8:
                return
            first, second = struct.unpack_from(">II", buffer)
            flags, length = second >> 24, second & MAX_DATA
            if not first >> 31:
                del buffer[:8]
                self._stream, self._left, self._fin = first, length, bool(flags & FLAG_FIN)
                if not first:
                    raise ProtocolViolation("a SPDY data frame belongs to stream 0")
                if not length and self._fin:
                    yield Data(first, b"", True)
                continue
            if length > MAX_CONTROL:
                raise ProtocolViolation(f"a SPDY control frame is longer than {MAX_CONTROL} bytes")
            if len(buffer) < 8 + length:
                return
            payload = bytes(buffer[8 : 8 + length])
            del buffer[: 8 + length]
            frame = self._control(first, flags, payload)
            if frame is not None:
                yield frame

    def _piece(self) -> Data:
        data = bytes(self._buffer[: self._left])
        del self._buffer[: len(data)]
        self._left -= len(data)
        return Data(self._stream, data, self._fin and not self._left)

    def _control(self, first: int, flags: int, payload: bytes) -> Frame | None:
        version, number = first >> 16 & 0x7FFF, first & 0xFFFF
        if version != VERSION:
            raise ProtocolViolation(f"a SPDY frame has version {version}")
        if number not in Type.__members__.values():
            return None  # section 2.2.1: control frames of unknown types are ignored
        kind = Type(number)
        if kind is Type.SETTINGS:
            return _settings(payload)
        fixed = {Type.SYN_STREAM: 10, Type.SYN_REPLY: 4, Type.HEADERS: 4, Type.PING: 4}.get(kind, 8)
        if len(payload) < fixed:
            raise ProtocolViolation(f"a SPDY frame of type {kind.name} is cut short")
        stream = int.from_bytes(payload[:4], "big")
        if kind in (Type.SYN_STREAM, Type.SYN_REPLY, Type.HEADERS):
            headers = self._inflater.unpack(payload[fixed:])
            one_way = kind is Type.SYN_STREAM and bool(flags & FLAG_UNIDIRECTIONAL)
            return Headers(kind, stream & _ID, headers, bool(flags & FLAG_FIN), one_way)
        if len(payload) != fixed:
            raise ProtocolViolation(f"a SPDY frame of type {kind.name} has the wrong length")
        if kind is Type.PING:
            return Control(kind, stream)
        return Control(kind, stream & _ID, int.from_bytes(payload[4:8], "big"))


def _settings(payload: bytes) -> Settings:
    count = int.from_bytes(payload[:4], "big") if len(payload) >= 4 else -1
    if len(payload) != 4 + 8 * count:
        raise ProtocolViolation("a SPDY SETTINGS frame has the wrong length")
    values: dict[int, int] = {}
    for at in range(4, len(payload), 8):
        key, value = struct.unpack_from(">II", payload, at)
        values.setdefault(key & 0xFFFFFF, value)  # section 2.6.4: of several the first counts
    return Settings(values)


class FrameEncoder:
    """Writes frames; keeps the compression state of our header blocks."""

    def __init__(self) -> None:
        self._deflater: HeaderDeflater | None = None

    def headers(self, frame: Headers) -> bytes:
        """SYN_STREAM, SYN_REPLY or HEADERS. Must be sent in the order of encoding."""
        if self._deflater is None:
            self._deflater = HeaderDeflater()
        middle = struct.pack(">IBB", 0, 0, 0) if frame.type is Type.SYN_STREAM else b""
        flags = (FLAG_FIN if frame.fin else 0) | (FLAG_UNIDIRECTIONAL if frame.unidirectional else 0)
        return _control_frame(
            frame.type, flags, struct.pack(">I", frame.stream) + middle + self._deflater.pack(frame.headers)
        )

    def control(self, frame: Control) -> bytes:
        """RST_STREAM, GOAWAY, WINDOW_UPDATE or PING."""
        if frame.type is Type.PING:
            return _control_frame(frame.type, 0, struct.pack(">I", frame.stream))
        return _control_frame(frame.type, 0, struct.pack(">II", frame.stream, frame.value))

    def settings(self, frame: Settings) -> bytes:
        """SETTINGS."""
        pairs = b"".join(struct.pack(">II", key, value) for key, value in frame.values.items())
        return _control_frame(Type.SETTINGS, 0, struct.pack(">I", len(frame.values)) + pairs)

    def data_header(self, stream: int, size: int, fin: bool) -> bytes:
        """The eight bytes before `size` bytes of payload (at most MAX_DATA)."""
        return struct.pack(">II", stream, (FLAG_FIN if fin else 0) << 24 | size)


def _control_frame(kind: Type, flags: int, payload: bytes) -> bytes:
    return struct.pack(">HHI", 0x8000 | VERSION, kind, flags << 24 | len(payload)) + payload
