"""The header blocks of HTTP/2 requests: read by `hpack`, checked as RFC 9113, sections 8.2 and 8.3, wants it."""

from __future__ import annotations

import re

from cricket.wire.header_blocks import BlockDecoder

_BLOCKS = 32
"""Header blocks whose meaning is remembered."""
_REQUIRED = (b":method", b":scheme", b":path")
_PSEUDO = frozenset((*_REQUIRED, b":authority"))
_HOP_BY_HOP = frozenset((b"connection", b"proxy-connection", b"keep-alive", b"transfer-encoding", b"upgrade"))
_UNFIT_NAME = re.compile(rb"[^\x21-\x39\x3b-\x40\x5b-\x7e]")
"""What no name may have: capitals, a colon, what is not visible ASCII."""
_UNFIT_VALUE = re.compile(rb"[\0\r\n]")


class Malformed(Exception):
    """A request that is none; only its stream suffers."""


class HeaderReader:
    """The blocks of one connection, in their order: later ones refer to earlier ones."""

    def __init__(self) -> None:
        self._decoder = BlockDecoder()
        self._blocks: dict[bytes, dict[bytes, bytes]] = {}

    def request(self, block: bytes) -> dict[bytes, bytes]:
        """The fields of a request; not to be changed. Raises Fault, and Malformed.

        A block that only refers to the table means the same until the table changes.
        """
        headers = self._blocks.get(block)
        if headers is None:
            headers = _checked(self._fields(block))
            for name in _REQUIRED:
                if not headers.get(name):
                    raise Malformed(f"a request without {name.decode()}")
            # A byte from 0x80 to 0xfe is a whole reference (RFC 7541, section 6.1).
            if min(block) >= 0x80 and 0xFF not in block and len(self._blocks) < _BLOCKS:
                self._blocks[block] = headers
        return headers

    def trailers(self, block: bytes) -> None:
        """Read what ends a request, and says nothing in gRPC. Raises Fault, and Malformed."""
        if any(name[:1] == b":" for name in _checked(self._fields(block))):
            raise Malformed("trailers that look like a request")

    def _fields(self, block: bytes) -> list[tuple[bytes, bytes]]:
        # All but references may change the table.
        if block and min(block) < 0x80 or 0xFF in block or len(self._blocks) >= _BLOCKS:
            self._blocks.clear()
        return self._decoder.fields(block)


def _checked(fields: list[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    headers: dict[bytes, bytes] = {}
    regular = False
    for name, value in fields:
        if name[:1] == b":":
            if regular or name not in _PSEUDO or name in headers:
                raise Malformed("a pseudo-header where none may be")
        else:
            regular = True
            if not name or name in _HOP_BY_HOP or _UNFIT_NAME.search(name):
                raise Malformed("a header that HTTP/2 does not have")
        if _UNFIT_VALUE.search(value):
            raise Malformed("a header with line breaks")
        headers[name] = value
    if headers.get(b"te", b"trailers") != b"trailers":
        raise Malformed("te other than trailers")
    return headers
