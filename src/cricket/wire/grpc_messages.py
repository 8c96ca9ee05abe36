"""What gRPC makes of HTTP/2 (sans I/O; "gRPC over HTTP2" of the gRPC project): messages, time limits, statuses."""

from __future__ import annotations

import re
import zlib
from typing import NamedTuple
from urllib.parse import quote

from cricket.errors import Code

_UNITS = {b"H": 3600.0, b"M": 60.0, b"S": 1.0, b"m": 1e-3, b"u": 1e-6, b"n": 1e-9}
_TIMEOUT = re.compile(rb"([0-9]{1,8})([HMSmun])")
_ZLIB_OR_GZIP = 32 + zlib.MAX_WBITS
PREFIX = 5


class Refused(Exception):
    """A request that no method will see, with the status of its answer."""

    def __init__(self, code: Code, text: str) -> None:
        super().__init__(text)
        self.code = code


def literal(name: bytes, value: bytes) -> bytes:
    """A header field for HPACK, without tables and Huffman's code (RFC 7541, section 6.2.2)."""
    return b"\0" + _integer(len(name)) + name + _integer(len(value)) + value


def _integer(number: int) -> bytes:
    if number < 127:
        return bytes((number,))
    out, number = [127], number - 127
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes((*out, number))


HEADERS = literal(b":status", b"200") + literal(b"content-type", b"application/grpc")
"""The header block of every answer."""
ENCODINGS = literal(b"grpc-accept-encoding", b"identity,deflate,gzip")
OK = literal(b"grpc-status", b"0")
"""The trailers of a success."""


def trailers(code: Code, text: str) -> bytes:
    """The trailers of any outcome."""
    # Percent-encoded: what is not printable ASCII, and the percent sign.
    words = quote(text, safe=" !\"#$&'()*+,-./:;<=>?@[\\]^_`{|}~")
    return literal(b"grpc-status", b"%d" % code) + (literal(b"grpc-message", words.encode()) if words else b"")


def framed(message: bytes) -> bytes:
    """A message as it goes over the wire, uncompressed."""
    return b"\0" + len(message).to_bytes(4, "big") + message


class Call(NamedTuple):
    """What the headers of a request say. `timeout` in seconds, None for no limit."""

    path: bytes
    timeout: float | None
    encoding: bytes


def call_of(headers: dict[bytes, bytes]) -> Call:
    """The call that the headers ask for. Raises Refused."""
    kind = headers.get(b"content-type", b"")
    if headers.get(b":method") != b"POST" or not kind.startswith(b"application/grpc"):
        raise Refused(Code.UNKNOWN, "this is not a gRPC request")
    timeout = None
    if (limit := headers.get(b"grpc-timeout")) is not None:
        found = _TIMEOUT.fullmatch(limit)
        if found is None:
            raise Refused(Code.INTERNAL, "grpc-timeout is no time")
        timeout = int(found[1]) * _UNITS[found[2]]
    return Call(headers.get(b":path", b""), timeout, headers.get(b"grpc-encoding", b"identity"))


class Reader:
    """Gathers the one message of a request; `limit` in bytes, also of what is unpacked."""

    __slots__ = ("_limit", "_encoding", "_parts", "_size")

    def __init__(self, limit: int, encoding: bytes) -> None:
        self._limit, self._encoding = limit, encoding
        self._parts: list[bytes] = []
        self._size = 0

    def feed(self, data: bytes) -> None:
        """Take bytes of the body. Raises Refused as soon as they are too many."""
        self._size += len(data)
        if self._size > self._limit + PREFIX:
            text = f"the request is larger than {self._limit} bytes"
            raise Refused(Code.RESOURCE_EXHAUSTED, text)
        if data:
            self._parts.append(data)

    def message(self) -> bytes:
        """The message, when the body has ended. Raises Refused."""
        data = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
        self._parts.clear()
        if len(data) < PREFIX or len(data) - PREFIX != int.from_bytes(data[1:PREFIX], "big"):
            raise Refused(Code.INTERNAL, "the body of the request is not one message")
        return data[PREFIX:] if data[0] == 0 else self._unpacked(data[PREFIX:])

    def _unpacked(self, data: bytes) -> bytes:
        if self._encoding not in (b"gzip", b"deflate"):
            raise Refused(Code.UNIMPLEMENTED, f"the compression {self._encoding!r} is not known")
        unpack = zlib.decompressobj(_ZLIB_OR_GZIP)
        try:
            message = unpack.decompress(data, self._limit)
        except zlib.error:
            raise Refused(Code.INTERNAL, "the request cannot be unpacked") from None
        if not unpack.eof:
            raise Refused(Code.RESOURCE_EXHAUSTED, f"the request is larger than {self._limit} bytes, or cut off")
        return message
