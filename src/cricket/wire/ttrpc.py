"""ttrpc frames (sans I/O): a header of 10 bytes and a protobuf message.

The header is length (4 bytes), stream number (4 bytes, big-endian both), type and flags (1 byte each). The side that
calls opens streams with odd, growing numbers. Only unary calls are spoken here: one request, one response per stream
(containerd/ttrpc, PROTOCOL.md).
"""

from __future__ import annotations

import struct
from enum import IntEnum

import msgspec

from cricket.errors import ResourceExhausted

HEADER_SIZE = 10
MAX_MESSAGE = 4 << 20
"""The longest message in bytes, without its header; a longer one is refused by both ends."""

_HEADER = struct.Struct(">IIBB")


class Type(IntEnum):
    """Message types; a receiver ignores those it does not know."""

    REQUEST = 1
    RESPONSE = 2
    DATA = 3


class Message(msgspec.Struct, frozen=True):
    """One message. `payload` is None when it was longer than `MAX_MESSAGE` and therefore skipped."""

    stream: int
    type: int
    payload: bytes | None
    flags: int = 0


def encode(stream: int, type: Type, payload: bytes) -> bytes:
    """The bytes of a message; raises ResourceExhausted when the payload is too long."""
    if len(payload) > MAX_MESSAGE:
        raise ResourceExhausted(f"a message of {len(payload)} bytes exceeds ttrpc's limit of {MAX_MESSAGE}")
    return _HEADER.pack(len(payload), stream, type, 0) + payload


class Parser:
    """Cuts a byte stream into messages, whatever the chunks it comes in. No input is an error at this level."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._skip = 0

    def feed(self, data: bytes) -> list[Message]:
        """The messages that are complete now, in order; an oversized one is reported at its header, then skipped."""
        if self._skip:
            dropped = min(self._skip, len(data))
            self._skip -= dropped
            data = data[dropped:]
        buffer = self._buffer
        buffer += data
        found = []
        start = 0
        while len(buffer) - start >= HEADER_SIZE:
            length, stream, kind, flags = _HEADER.unpack_from(buffer, start)
            body = start + HEADER_SIZE
            if length > MAX_MESSAGE:
                found.append(Message(stream, kind, None, flags))
                start = min(body + length, len(buffer))
                self._skip = body + length - start
                continue
            if len(buffer) < body + length:
                break
            found.append(Message(stream, kind, bytes(memoryview(buffer)[body : body + length]), flags))
            start = body + length
        if start:
            del buffer[:start]
        return found
