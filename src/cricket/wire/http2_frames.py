"""HTTP/2 frames and settings (sans I/O; RFC 9113, sections 4, 6 and 7)."""

from __future__ import annotations

import struct
from enum import IntEnum

from cricket.errors import InvalidArgument

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
HEADER_SIZE = 9
DEFAULT_WINDOW = 65535
MAX_WINDOW = (1 << 31) - 1
SMALLEST_FRAME, LARGEST_FRAME = 1 << 14, (1 << 24) - 1
"""Limits of SETTINGS_MAX_FRAME_SIZE; the smallest is the default, and what we take."""

END_STREAM = ACK = 0x1
END_HEADERS, PADDED, PRIORITISED = 0x4, 0x8, 0x20


class Type(IntEnum):
    """Frame types."""

    DATA = 0
    HEADERS = 1
    PRIORITY = 2
    RST_STREAM = 3
    SETTINGS = 4
    PUSH_PROMISE = 5
    PING = 6
    GOAWAY = 7
    WINDOW_UPDATE = 8
    CONTINUATION = 9


class Reason(IntEnum):
    """Error codes of RST_STREAM and GOAWAY (section 7)."""

    NO_ERROR = 0
    PROTOCOL_ERROR = 1
    INTERNAL_ERROR = 2
    FLOW_CONTROL_ERROR = 3
    STREAM_CLOSED = 5
    FRAME_SIZE_ERROR = 6
    REFUSED_STREAM = 7
    CANCEL = 8
    COMPRESSION_ERROR = 9
    ENHANCE_YOUR_CALM = 11


class Setting(IntEnum):
    """Settings that mean something to us."""

    HEADER_TABLE_SIZE = 1
    ENABLE_PUSH = 2
    MAX_CONCURRENT_STREAMS = 3
    INITIAL_WINDOW_SIZE = 4
    MAX_FRAME_SIZE = 5
    MAX_HEADER_LIST_SIZE = 6


class Fault(InvalidArgument):
    """The peer broke the protocol, which ends the connection; `reason` is told to it."""

    def __init__(self, reason: Reason, what: str) -> None:
        super().__init__(what)
        self.reason = reason


_HEAD = struct.Struct(">BHBBI")
_SETTING = struct.Struct(">HI")
_WORD = struct.Struct(">I")


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """The bytes of a frame."""
    return frame_head(len(payload), kind, flags, stream) + payload


def frame_head(length: int, kind: int, flags: int, stream: int) -> bytes:
    """The bytes before a payload of `length` bytes."""
    return _HEAD.pack(length >> 16, length & 0xFFFF, kind, flags, stream)


def head(data: bytes, start: int) -> tuple[int, int, int, int]:
    """Length, type, flags and stream of the frame header at `start`."""
    high, low, kind, flags, stream = _HEAD.unpack_from(data, start)
    return high << 16 | low, kind, flags, stream & MAX_WINDOW


def word(payload: bytes) -> int:
    """The 31 bits of a payload that is one number. Raises Fault."""
    if len(payload) != 4:
        raise Fault(Reason.FRAME_SIZE_ERROR, "a frame of a wrong length")
    return int(_WORD.unpack(payload)[0]) & MAX_WINDOW


def window_update(stream: int, by: int) -> bytes:
    """A WINDOW_UPDATE frame."""
    return frame(Type.WINDOW_UPDATE, 0, stream, _WORD.pack(by))


def reset(stream: int, reason: Reason) -> bytes:
    """A RST_STREAM frame."""
    return frame(Type.RST_STREAM, 0, stream, _WORD.pack(reason))


def goaway(last: int, reason: Reason, words: bytes = b"") -> bytes:
    """A GOAWAY frame: streams after `last` were not processed."""
    return frame(Type.GOAWAY, 0, 0, _WORD.pack(last) + _WORD.pack(reason) + words)


def settings(values: dict[Setting, int]) -> bytes:
    """A SETTINGS frame."""
    return frame(Type.SETTINGS, 0, 0, b"".join(_SETTING.pack(*item) for item in values.items()))


def parse_settings(payload: bytes) -> dict[int, int]:
    """What a SETTINGS frame says, the last word on each. Raises Fault for values that nobody may send."""
    if len(payload) % 6:
        raise Fault(Reason.FRAME_SIZE_ERROR, "SETTINGS of a wrong length")
    values: dict[int, int] = {}
    for key, value in _SETTING.iter_unpack(payload):
        if key == Setting.INITIAL_WINDOW_SIZE and value > MAX_WINDOW:
            raise Fault(Reason.FLOW_CONTROL_ERROR, "an initial window that is too large")
        if key == Setting.MAX_FRAME_SIZE and not SMALLEST_FRAME <= value <= LARGEST_FRAME:
            raise Fault(Reason.PROTOCOL_ERROR, "a maximum frame size that is none")
        if key == Setting.ENABLE_PUSH and value > 1:
            raise Fault(Reason.PROTOCOL_ERROR, "neither push nor none")
        values[key] = value
    return values


def unpadded(flags: int, payload: bytes, stream: int = -1) -> bytes:
    """The payload of a DATA or HEADERS frame without padding and priority, which must not be the `stream` itself.
    Raises Fault."""
    start, end = 0, len(payload)
    if flags & PADDED:
        start, end = 1, end - (payload[0] if payload else 1)
    if flags & PRIORITISED:
        if start + 5 <= end and word(payload[start : start + 4]) == stream:
            raise Fault(Reason.PROTOCOL_ERROR, "a stream that depends on itself")
        start += 5
    if start > end:
        raise Fault(Reason.PROTOCOL_ERROR, "more padding than payload")
    return payload[start:end] if start or end < len(payload) else payload
