"""WebSocket (RFC 6455): opening handshake values, frames, and one end of a connection.

Messages are passed on in pieces as they come in, so that no limit on their length is needed and none is buffered.
Text is not checked for UTF-8: the Kubernetes text forms are base64, which has its own check.
"""

from __future__ import annotations

import base64
import hashlib
import os
import struct
from collections.abc import Iterator

import msgspec

from cricket.wire.mux import Gone, ProtocolViolation

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
NORMAL, PROTOCOL_ERROR, BAD_DATA, INTERNAL_ERROR = 1000, 1002, 1007, 1011
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def accept_key(key: str) -> str:
    """The Sec-WebSocket-Accept for a Sec-WebSocket-Key (section 4.2.2); ProtocolViolation when the key is not one."""
    try:
        raw = base64.b64decode(key, validate=True)
    except ValueError as e:
        raise ProtocolViolation("the Sec-WebSocket-Key is not base64") from e
    if len(raw) != 16:
        raise ProtocolViolation("the Sec-WebSocket-Key does not have 16 bytes")
    return base64.b64encode(hashlib.sha1(key.encode() + _GUID, usedforsecurity=False).digest()).decode()


class Piece(msgspec.Struct, frozen=True):
    """A piece of a data message: `first` begins one, `last` ends it; `opcode` is TEXT or BINARY."""

    opcode: int
    data: bytes
    first: bool
    last: bool


class ControlFrame(msgspec.Struct, frozen=True):
    """CLOSE, PING or PONG with its payload of at most 125 bytes."""

    opcode: int
    payload: bytes


def encode_frame(opcode: int, payload: bytes, *, masked: bool, fin: bool = True) -> bytes:
    """One frame. Clients mask, servers do not (section 5.1)."""
    head = bytearray([(0x80 if fin else 0) | opcode])
    bit, size = (0x80 if masked else 0), len(payload)
    if size < 126:
        head.append(bit | size)
    elif size < 1 << 16:
        head += struct.pack(">BH", bit | 126, size)
    else:
        head += struct.pack(">BQ", bit | 127, size)
    if not masked:
        return bytes(head) + payload
    key = os.urandom(4)
    return bytes(head) + key + _mask(payload, key, 0)


def _mask(data: bytes, key: bytes, offset: int) -> bytes:
    """XOR with the key, which was used for `offset` bytes before. One big integer: fast without a loop."""
    size = len(data)
    turned = key[offset % 4 :] + key[: offset % 4]
    pattern = (turned * (size // 4 + 1))[:size]
    return (int.from_bytes(data, "little") ^ int.from_bytes(pattern, "little")).to_bytes(size, "little")


class FrameDecoder:
    """Turns bytes, cut anywhere, into pieces of messages and control frames. Raises ProtocolViolation."""

    def __init__(self, *, masked: bool) -> None:
        self._masked = masked
        self._buffer = bytearray()
        self._opcode = self._left = self._done = 0
        self._key = b""
        self._in_frame = self._first = self._fin = False
        self._message = CONTINUATION

    def feed(self, data: bytes) -> Iterator[Piece | ControlFrame]:
        """What is complete now; a control frame may come between the pieces of a message."""
        self._buffer += data
        while self._in_frame or self._header():
            if self._opcode >= CLOSE:
                if len(self._buffer) < self._left:
                    return
                self._in_frame = False
                yield ControlFrame(self._opcode, self._take())
                continue
            if self._left and not self._buffer:
                return
            piece = self._take()
            self._in_frame = bool(self._left)
            last = self._fin and not self._left
            first, self._first = self._first, False
            kind = self._message
            if last:
                self._message = CONTINUATION
            if piece or first or last:
                yield Piece(kind, piece, first, last)

    def _take(self) -> bytes:
        data = bytes(self._buffer[: self._left])
        del self._buffer[: len(data)]
        self._left -= len(data)
        if self._masked and data:
            data = _mask(data, self._key, self._done)
        self._done += len(data)
        return data

    def _header(self) -> bool:
        """Read a frame header when it is whole."""
        buffer = self._buffer
        if len(buffer) < 2:
            return False
        size, extra = buffer[1] & 0x7F, 0
        if size >= 126:
            extra = 2 if size == 126 else 8
        need = 2 + extra + (4 if self._masked else 0)
        if bool(buffer[1] & 0x80) != self._masked:
            raise ProtocolViolation("a WebSocket frame is masked by a server or not masked by a client")
        self._check(buffer[0], size)
        if len(buffer) < need:
            return False
        if extra:
            size = int.from_bytes(buffer[2 : 2 + extra], "big")
            if size >> 63:
                raise ProtocolViolation("the length of a WebSocket frame has its highest bit set")
        self._opcode, self._fin = buffer[0] & 0x0F, bool(buffer[0] & 0x80)
        self._key = bytes(buffer[need - 4 : need]) if self._masked else b""
        del buffer[:need]
        self._left, self._done, self._in_frame = size, 0, True
        if self._opcode in (TEXT, BINARY):
            self._message, self._first = self._opcode, True
        return True

    def _check(self, first: int, size: int) -> None:
        opcode = first & 0x0F
        if first & 0x70:
            raise ProtocolViolation("a WebSocket frame uses an extension that was not negotiated")
        if opcode >= CLOSE:
            if opcode > PONG or size > 125 or not first & 0x80:
                raise ProtocolViolation("a WebSocket control frame is unknown, too long or fragmented")
        elif opcode > BINARY or (opcode == CONTINUATION) == (self._message == CONTINUATION):
            raise ProtocolViolation("a WebSocket frame is unknown or out of order")


class WebSocketConnection:
    """One end of an open WebSocket: answers ping and close by itself, hands out the pieces of messages."""

    def __init__(self, *, server: bool) -> None:
        self._masks = not server
        self._decoder = FrameDecoder(masked=server)
        self._out: list[bytes] = []
        self._close_sent = self._dead = False

    def receive(self, data: bytes) -> list[Piece | Gone]:
        """Pieces of messages, and at last Gone; nothing after it."""
        found: list[Piece | Gone] = []
        if self._dead:
            return found
        try:
            for frame in self._decoder.feed(data):
                if isinstance(frame, Piece):
                    found.append(frame)
                elif frame.opcode == PING:
                    self._send(PONG, frame.payload)
                elif frame.opcode == CLOSE:
                    found.append(self._closed(frame.payload))
                    break
        except ProtocolViolation as e:
            found.append(self.fail(str(e)))
        return found

    def send(self, opcode: int, payload: bytes) -> None:
        """Queue a message; nothing happens after the close frame."""
        self._send(opcode, payload)

    def ping(self) -> None:
        """Queue a ping; the answer is not reported."""
        self._send(PING, b"")

    def close(self, code: int = NORMAL, reason: str = "") -> None:
        """Queue the close frame. Idempotent."""
        self._send(CLOSE, struct.pack(">H", code) + reason.encode()[:120])
        self._close_sent = True

    def fail(self, reason: str, code: int = PROTOCOL_ERROR) -> Gone:
        """Close because the peer broke a rule."""
        self.close(code)
        self._dead = True
        return Gone(reason, violation=True)

    def output(self) -> list[bytes]:
        """Take the bytes to send now."""
        out, self._out = self._out, []
        return out

    def _send(self, opcode: int, payload: bytes) -> None:
        if not self._close_sent:
            self._out.append(encode_frame(opcode, payload, masked=self._masks))

    def _closed(self, payload: bytes) -> Gone:
        self._dead = True
        if len(payload) == 1:
            raise ProtocolViolation("a WebSocket close frame has one byte")
        code = int.from_bytes(payload[:2], "big") if payload else NORMAL
        self.close(code if 1000 <= code <= 1003 or 1007 <= code <= 1014 or 3000 <= code < 5000 else PROTOCOL_ERROR)
        text = payload[2:].decode("utf-8", "replace")
        normal = code in (NORMAL, 1001)
        return Gone("the peer closed the WebSocket" if normal else f"the peer closed the WebSocket: {code} {text}")
