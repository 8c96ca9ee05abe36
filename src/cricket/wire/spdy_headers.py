"""Header blocks of SPDY/3.1: name/value pairs, deflated with a dictionary in one zlib stream per direction.

Source: SPDY protocol draft 3.1, section 2.6.10 (name/value header block) and 2.6.10.1 (compression).
"""

from __future__ import annotations

import struct
import zlib

from cricket.wire.mux import ProtocolViolation

MAX_BLOCK = 64 << 10
MAX_HEADERS = 100

# The draft's dictionary: these words, each after its length in four bytes, and then the tail as it is.
_WORDS = (
    "options head post put delete trace accept accept-charset accept-encoding accept-language accept-ranges age allow "
    "authorization cache-control connection content-base content-encoding content-language content-length "
    "content-location content-md5 content-range content-type date etag expect expires from host if-match "
    "if-modified-since if-none-match if-range if-unmodified-since last-modified location max-forwards pragma "
    "proxy-authenticate proxy-authorization range referer retry-after server te trailer transfer-encoding upgrade "
    "user-agent vary via warning www-authenticate method get status 200_OK version HTTP/1.1 url public set-cookie "
    "keep-alive origin"
)
_CODES = (
    "100 101 201 202 205 206 300 302 303 304 305 306 307 402 405 406 407 408 409 410 411 412 413 414 415 416 417 "
    "502 504 505"
)
_TAIL = (
    "203 Non-Authoritative Information204 No Content301 Moved Permanently400 Bad Request401 Unauthorized403 Forbidden"
    "404 Not Found500 Internal Server Error501 Not Implemented503 Service Unavailable"
    "Jan Feb Mar Apr May Jun Jul Aug Sept Oct Nov Dec 00:00:00 Mon, Tue, Wed, Thu, Fri, Sat, Sun, GMT"
    "chunked,text/html,image/png,image/jpg,image/gif,application/xml,application/xhtml+xml,text/plain,text/javascript,"
    "publicprivatemax-age=gzip,deflate,sdchcharset=utf-8charset=iso-8859-1,utf-,*,enq=0."
)


def _dictionary() -> bytes:
    words = b"".join(struct.pack(">I", len(word)) + word.replace("_", " ").encode() for word in _WORDS.split())
    return words + (_CODES.replace(" ", "") + _TAIL).encode()


DICTIONARY = _dictionary()


class HeaderDeflater:
    """Compresses our header blocks. A small window: our headers are short, and zlib's default takes 256 KiB."""

    def __init__(self) -> None:
        self._stream = zlib.compressobj(6, zlib.DEFLATED, 11, 4, zlib.Z_DEFAULT_STRATEGY, DICTIONARY)

    def pack(self, headers: dict[str, str]) -> bytes:
        """The compressed block; names are lowered."""
        parts = [struct.pack(">I", len(headers))]
        for name, value in headers.items():
            for text in (name.lower().encode(), value.encode()):
                parts += [struct.pack(">I", len(text)), text]
        return self._stream.compress(b"".join(parts)) + self._stream.flush(zlib.Z_SYNC_FLUSH)


class HeaderInflater:
    """Decompresses the peer's header blocks; each may have at most MAX_BLOCK bytes when unpacked."""

    def __init__(self) -> None:
        self._stream = zlib.decompressobj(zdict=DICTIONARY)

    def unpack(self, block: bytes) -> dict[str, str]:
        """The headers, several values of a name joined by NUL. Raises ProtocolViolation; then the stream is lost."""
        try:
            plain = self._stream.decompress(block, MAX_BLOCK + 1)
        except zlib.error as e:
            raise ProtocolViolation("a SPDY header block cannot be decompressed") from e
        if len(plain) > MAX_BLOCK or self._stream.unconsumed_tail:
            raise ProtocolViolation(f"a SPDY header block is longer than {MAX_BLOCK} bytes when decompressed")
        if self._stream.eof:
            raise ProtocolViolation("the SPDY header compression stream ended")
        return _parse(plain)


def _parse(plain: bytes) -> dict[str, str]:
    count, at = _number(plain, 0)
    if count > MAX_HEADERS:
        raise ProtocolViolation(f"a SPDY header block has more than {MAX_HEADERS} headers")
    headers: dict[str, str] = {}
    for _ in range(count):
        name, at = _text(plain, at)
        value, at = _text(plain, at)
        if not name or name != name.lower() or name in headers:
            raise ProtocolViolation("a SPDY header name is empty, not lower case or appears twice")
        headers[name] = value
    if at != len(plain):
        raise ProtocolViolation("a SPDY header block has bytes after its last header")
    return headers


def _number(plain: bytes, at: int) -> tuple[int, int]:
    if at + 4 > len(plain):
        raise ProtocolViolation("a SPDY header block is cut short")
    return int.from_bytes(plain[at : at + 4], "big"), at + 4


def _text(plain: bytes, at: int) -> tuple[str, int]:
    size, at = _number(plain, at)
    if size > len(plain) - at:
        raise ProtocolViolation("a SPDY header block is cut short")
    return plain[at : at + size].decode("utf-8", "replace"), at + size
