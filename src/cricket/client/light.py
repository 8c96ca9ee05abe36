"""One quick question to a runtime without gRPC: an RPC over HTTP/2 by hand, and its answer field by field.

For shell completion, which has less time than gRPC and protobuf take to be imported. Nothing here imports more than
`socket` and `struct`. RFC 9113 (HTTP/2), RFC 7541 6.2.2 (headers as literals), "gRPC over HTTP2" of the gRPC project,
and protobuf's encoding.
"""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Iterator

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _RST_STREAM, _SETTINGS, _PING, _GOAWAY, _WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
_END_STREAM = _ACK = 1
_END_HEADERS, _PADDED = 4, 8
_HEAD = struct.Struct(">BHBBI")
_INITIAL_WINDOW_SIZE = 4
_WINDOW = 1 << 24  # more than any list: nothing has to be acknowledged
_LARGEST = 32 << 20
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


class NoAnswer(Exception):
    """Nobody listens, the answer did not come in time, or it is none."""


def ask(path: str, method: str, timeout: float) -> bytes:
    """The answer of the unary `method` (like `/runtime.v1.RuntimeService/Version`) to an empty request.

    `path` is the socket's, `timeout` in seconds for all of it. Raises NoAnswer.
    """
    deadline = time.monotonic() + timeout
    try:
        with socket.socket(socket.AF_UNIX) as link:
            link.settimeout(timeout)
            link.connect(path)
            link.sendall(_request(method))
            reader = Reader()
            while not reader.done:
                link.settimeout(max(deadline - time.monotonic(), 0.001))
                data = link.recv(1 << 18)
                if not data:
                    raise NoAnswer("the connection ended")
                if reply := reader.feed(data):
                    link.sendall(reply)
            return reader.message()
    except OSError as error:
        raise NoAnswer(str(error)) from error


def _frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    return _HEAD.pack(len(payload) >> 16, len(payload) & 0xFFFF, kind, flags, stream) + payload


def _request(method: str) -> bytes:
    """Preface, settings, and one call whose message is empty."""
    fields = (
        (b":method", b"POST"),
        (b":scheme", b"http"),
        (b":path", method.encode()),
        (b":authority", b"localhost"),
        (b"content-type", b"application/grpc"),
        (b"te", b"trailers"),
    )
    block = b"".join(b"\0" + bytes((len(n),)) + n + bytes((len(v),)) + v for n, v in fields)
    return b"".join(
        (
            _PREFACE,
            _frame(_SETTINGS, 0, 0, struct.pack(">HI", _INITIAL_WINDOW_SIZE, _WINDOW)),
            _frame(_WINDOW_UPDATE, 0, 0, struct.pack(">I", _WINDOW)),
            _frame(_HEADERS, _END_HEADERS, 1, block),
            _frame(_DATA, _END_STREAM, 1, b"\0\0\0\0\0"),
        )
    )


class Reader:
    """Gathers the body of the one stream (sans I/O); its headers are not read: a failed call has no body."""

    def __init__(self) -> None:
        self._pending = b""
        self._body: list[bytes] = []
        self._size = 0
        self.done = False

    def feed(self, data: bytes) -> bytes:
        """Take bytes, however they are cut; returns what is to be sent. Raises NoAnswer."""
        pending, at, replies = self._pending + data, 0, b""
        while len(pending) - at >= _HEAD.size and not self.done:
            high, low, kind, flags, stream = _HEAD.unpack_from(pending, at)
            end = at + _HEAD.size + (high << 16 | low)
            if end > len(pending):
                break
            replies += self._frame(kind, flags, stream, pending[at + _HEAD.size : end])
            at = end
        self._pending = pending[at:]
        return replies

    def _frame(self, kind: int, flags: int, stream: int, payload: bytes) -> bytes:
        if kind in (_RST_STREAM, _GOAWAY):
            raise NoAnswer("the runtime refused")
        if kind == _SETTINGS and not flags & _ACK:
            return _frame(_SETTINGS, _ACK, 0)
        if kind == _PING and not flags & _ACK:
            return _frame(_PING, _ACK, 0, payload)
        if stream == 1 and kind in (_DATA, _HEADERS):
            if kind == _DATA:
                self._take(payload[1 : len(payload) - payload[0]] if flags & _PADDED else payload)
            self.done = bool(flags & _END_STREAM)
        return b""

    def _take(self, data: bytes) -> None:
        self._size += len(data)
        if self._size > _LARGEST:
            raise NoAnswer("the answer is too large")
        self._body.append(data)

    def message(self) -> bytes:
        """The one message, when `done`. Raises NoAnswer."""
        body = b"".join(self._body)
        if len(body) < 5 or body[0] or len(body) - 5 != int.from_bytes(body[1:5], "big"):
            raise NoAnswer("the runtime refused")
        return body[5:]


Value = int | bytes


def fields(message: bytes) -> Iterator[tuple[int, Value]]:
    """The fields of a protobuf message: numbers, and bytes (texts and messages). Raises NoAnswer."""
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        kind = key & 7
        if kind == _VARINT:
            value, at = _varint(message, at)
            yield key >> 3, value
            continue
        length = {_FIXED64: 8, _FIXED32: 4}.get(kind, 0)
        if kind == _BYTES:
            length, at = _varint(message, at)
        elif not length:
            raise NoAnswer("the answer is no protobuf message")
        if at + length > len(message):
            raise NoAnswer("the answer is cut off")
        yield key >> 3, message[at : at + length]
        at += length


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(data) and shift < 70:
        byte = data[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at
    raise NoAnswer("the answer is cut off")


def text(message: bytes, *path: int) -> str:
    """The text at a path of field numbers, "" when it is not set. Raises NoAnswer."""
    found: Value = message
    for number in path:
        inner = found if isinstance(found, bytes) else b""
        found = next((value for key, value in fields(inner) if key == number), b"")
    return found.decode("utf-8", "replace") if isinstance(found, bytes) else ""


def number(message: bytes, field: int) -> int:
    """The number in a field, 0 when it is not set. Raises NoAnswer."""
    found = next((value for key, value in fields(message) if key == field), 0)
    return found if isinstance(found, int) else 0


def each(message: bytes, field: int) -> list[bytes]:
    """The values of a repeated field of texts or messages. Raises NoAnswer."""
    return [value for key, value in fields(message) if key == field and isinstance(value, bytes)]
