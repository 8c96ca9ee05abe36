"""What gRPC makes of HTTP/2 (sans I/O; "gRPC over HTTP2" of the gRPC project): messages, time limits, statuses."""

from __future__ import annotations

import re
import zlib
from typing import NamedTuple

from cricket.errors import Code
from cricket.wire.header_blocks import literal

_UNITS = {b"H": 3600.0, b"M": 60.0, b"S": 1.0, b"m": 1e-3, b"u": 1e-6, b"n": 1e-9}
_TIMEOUT = re.compile(rb"([0-9]{1,8})([HMSmun])")
_ZLIB_OR_GZIP = 32 + zlib.MAX_WBITS
_NAME = 200
"""Bytes of a client's words that an answer repeats."""
_NOT_PLAIN = re.compile(rb"[^ -$&-~]")
_ENCODED = re.compile(rb"%([0-9A-Fa-f]{2})")
_CUT = b"%E2%80%A6"
_STATUS_SIZE = 256
"""Bytes of trailers beside the text, each field counted with 32 more."""
PREFIX = 5
"""Bytes before a message."""
TEXT_LIMIT = 4 << 10
"""Bytes of a status' words as they go over the wire: gRPC's C core refuses trailers of 8 to 16 KiB, at random."""


class NotGrpc(Exception):
    """A request of plain HTTP, with the status of its answer."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class Refused(Exception):
    """A request that no method will see, with the status of its answer."""

    def __init__(self, code: Code, text: str) -> None:
        super().__init__(text)
        self.code = code


_TYPE = b"application/grpc"
HEADERS = literal(b":status", b"200") + literal(b"content-type", _TYPE)
"""The header block of every answer."""
ENCODINGS = literal(b"grpc-accept-encoding", b"identity,deflate,gzip")
OK = literal(b"grpc-status", b"0")
"""The trailers of a success."""


def trailers(code: Code, text: str, limit: int = 1 << 30) -> bytes:
    """The trailers of any outcome. The text is cut when it is too long, or longer than a peer takes that takes `limit`
    bytes of headers."""
    words = quoted(text, max(0, min(TEXT_LIMIT, limit - _STATUS_SIZE)))
    return literal(b"grpc-status", b"%d" % code) + (literal(b"grpc-message", words) if words else b"")


def quoted(text: str, limit: int) -> bytes:
    """Whole characters, at most `limit` bytes; percent-encoded is what is not printable ASCII, and the percent sign."""
    words = _encoded(text[:limit])
    if len(text) <= limit and len(words) <= limit:
        return words
    kept, room = [], limit - len(_CUT)
    for character in text:
        words = _encoded(character)
        room -= len(words)
        if room < 0:
            break
        kept.append(words)
    return b"".join(kept) + _CUT if limit >= len(_CUT) else b""


def _encoded(text: str) -> bytes:
    # File names that are no UTF-8 come with surrogates, which have no encoding.
    return _NOT_PLAIN.sub(lambda byte: b"%%%02X" % byte[0][0], text.encode("utf-8", "replace"))


def unquoted(words: bytes) -> str:
    """The text of a `grpc-message`, which is percent-encoded; what is not is taken as it is."""
    return _ENCODED.sub(lambda found: bytes((int(found[1], 16),)), words).decode("utf-8", "replace")


def framed(message: bytes) -> bytes:
    """A message as it goes over the wire, uncompressed."""
    return prefix(message) + message


def prefix(message: bytes) -> bytes:
    """What goes over the wire before a message that is not compressed."""
    return b"\0" + len(message).to_bytes(4, "big")


def plain(status: int) -> bytes:
    """The header block of an answer to what is not gRPC: text follows."""
    return literal(b":status", b"%d" % status) + literal(b"content-type", b"text/plain; charset=utf-8")


class Call(NamedTuple):
    """What the headers of a request say. `timeout` in seconds, None for no limit."""

    path: bytes
    timeout: float | None
    encoding: bytes


def call_of(headers: dict[bytes, bytes]) -> Call:
    """The call that the headers ask for. Raises Refused, and NotGrpc."""
    kind = headers.get(b"content-type", b"")
    if not kind.startswith(_TYPE) or kind[len(_TYPE) : len(_TYPE) + 1] not in (b"", b"+", b";"):
        raise NotGrpc(415, "this is a CRI runtime: it speaks gRPC")
    if headers.get(b":method") != b"POST":
        raise NotGrpc(405, "gRPC knows POST only")
    timeout = None
    if (limit := headers.get(b"grpc-timeout")) is not None:
        found = _TIMEOUT.fullmatch(limit)
        if found is None:
            raise Refused(Code.INTERNAL, "grpc-timeout is no time")
        timeout = int(found[1]) * _UNITS[found[2]]
    return Call(headers.get(b":path", b""), timeout, headers.get(b"grpc-encoding", b"identity"))


def shown(words: bytes) -> str:
    """A client's words as an answer repeats them."""
    return words[:_NAME].decode("utf-8", "replace")


class Reader:
    """Gathers the one message of a request; `limit` in bytes, also of what is unpacked."""

    __slots__ = ("_limit", "_encoding", "_data", "_more")

    def __init__(self, limit: int, encoding: bytes) -> None:
        self._limit, self._encoding = limit, encoding
        self._data = b""
        self._more: bytearray | None = None
        """All of it, when it came in several pieces."""

    def feed(self, data: bytes) -> None:
        """Take bytes of the body. Raises Refused as soon as they are too many."""
        if self._more is not None:
            self._more += data
        elif not self._data:
            self._data = data
        elif data:
            self._more = bytearray(self._data)
            self._more += data
        if len(self) > self._limit + PREFIX:
            raise Refused(Code.RESOURCE_EXHAUSTED, f"the request is larger than {self._limit} bytes")

    def __len__(self) -> int:
        return len(self._data) if self._more is None else len(self._more)

    def message(self) -> bytes:
        """The message, when the body has ended. Raises Refused."""
        data = self._data if self._more is None else bytes(self._more)
        self._data, self._more = b"", None
        if len(data) < PREFIX or len(data) - PREFIX != int.from_bytes(data[1:PREFIX], "big"):
            raise Refused(Code.INTERNAL, "the body of the request is not one message")
        if data[0] == 0:
            return data[PREFIX:]
        if data[0] != 1 or self._encoding == b"identity":
            raise Refused(Code.INTERNAL, "a message that is compressed without telling how")
        return self._unpacked(data[PREFIX:])

    def _unpacked(self, data: bytes) -> bytes:
        if self._encoding not in (b"gzip", b"deflate"):
            raise Refused(Code.UNIMPLEMENTED, f"the compression {shown(self._encoding)} is not known")
        unpack = zlib.decompressobj(_ZLIB_OR_GZIP)
        try:
            # One byte more shows that it is too large, also when the end would be read with the last one.
            message = unpack.decompress(data, self._limit + 1)
        except zlib.error:
            raise Refused(Code.INTERNAL, "the request cannot be unpacked") from None
        if len(message) > self._limit:
            raise Refused(Code.RESOURCE_EXHAUSTED, f"the request is larger than {self._limit} bytes")
        if not unpack.eof:
            raise Refused(Code.INTERNAL, "the request is cut off")
        return message
