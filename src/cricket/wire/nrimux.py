"""NRI's multiplexed connection: several byte streams over one socket (sans I/O).

A frame is a 4-byte stream number and a 4-byte length, both big-endian, and that many bytes. Stream 0 is reserved. A
stream opens without any signal: both ends just know its number (containerd/nri, pkg/net/multiplex).
"""

from __future__ import annotations

import struct

from cricket.errors import InvalidArgument

PLUGIN = 1
"""The stream on which the plugin serves and the runtime calls."""
RUNTIME = 2
"""The stream on which the runtime serves and the plugin calls."""

MAX_PAYLOAD = 10 + (4 << 20)
"""One whole ttrpc message of the largest size, with its header."""

_HEADER = struct.Struct(">II")
# Go plugins read a stream through a buffer of 4096 bytes and fail with ENOMEM on a frame that does not fit what they
# ask for. A first frame that fills the buffer, followed by all the rest, always fits: it is what Go's writer sends.
_FIRST = 4096


def frames(stream: int, message: bytes) -> bytes:
    """The frames that carry one message of the stream's own protocol; the message has at most `MAX_PAYLOAD` bytes."""
    if not message:
        return b""
    parts: list[bytes] = []
    for piece in (message[:_FIRST], message[_FIRST:]):
        if piece:
            parts += (_HEADER.pack(stream, len(piece)), piece)
    return b"".join(parts)


class Demux:
    """Cuts what arrives at the socket into the pieces of its streams, whatever the chunks it comes in."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[tuple[int, bytes]]:
        """The (stream, payload) pairs that are complete now, in order; raises InvalidArgument on an oversized frame."""
        buffer = self._buffer
        buffer += data
        found = []
        start = 0
        while len(buffer) - start >= _HEADER.size:
            stream, length = _HEADER.unpack_from(buffer, start)
            if length > MAX_PAYLOAD:
                raise InvalidArgument(f"a frame of {length} bytes is longer than the protocol allows", where="NRI")
            end = start + _HEADER.size + length
            if len(buffer) < end:
                break
            found.append((stream, bytes(memoryview(buffer)[start + _HEADER.size : end])))
            start = end
        if start:
            del buffer[:start]
        return found
