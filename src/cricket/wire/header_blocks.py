"""Header blocks of HTTP/2 (sans I/O; RFC 7541): read by `hpack`, and written so that they get short."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from cricket.wire.http2_frames import Fault, Reason

HEADER_LIMIT = 16 << 10
"""Bytes of a block's fields, each with 32 more (RFC 9113, section 6.5.2, SETTINGS_MAX_HEADER_LIST_SIZE)."""
TABLE_SIZE = 4096
"""Bytes of a peer's table, if it does not want another one."""
_STATIC = 61
_OVERHEAD = 32


def literal(name: bytes, value: bytes, form: int = 0) -> bytes:
    """A field as it is, without Huffman's code; `form` 0x40 adds it to the table (sections 6.2.1 and 6.2.2)."""
    return bytes((form,)) + integer(len(name)) + name + integer(len(value)) + value


def integer(number: int, form: int = 0) -> bytes:
    """A number in 7 bits and more; `form` is the bit before them (section 5.1)."""
    if number < 127:
        return bytes((form | number,))
    out, number = [form | 127], number - 127
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes((*out, number))


class BlockEncoder:
    """Makes the header blocks of one direction of a connection: what was said once is only referred to afterwards.

    Nothing is evicted: a full table stays as it is.
    """

    def __init__(self) -> None:
        self._table: dict[tuple[bytes, bytes], int] = {}
        self._room = TABLE_SIZE

    def limit(self, size: int) -> None:
        """The peer's table holds `size` bytes. A smaller one than usual is not used any more: `Output` says so."""
        if size < TABLE_SIZE:
            self._table.clear()
            self._room = -1

    def block(self, fields: Iterable[tuple[bytes, bytes]]) -> bytes:
        """The block of these fields. It has to be sent, and in this order."""
        out = []
        for field in fields:
            at = self._table.get(field)
            if at is not None:
                out.append(integer(_STATIC + len(self._table) - at, 0x80))
                continue
            size = len(field[0]) + len(field[1]) + _OVERHEAD
            fits = size <= self._room
            if fits:
                self._room -= size
                self._table[field] = len(self._table)
            out.append(literal(*field, 0x40 if fits else 0))
        return b"".join(out)


class BlockDecoder:
    """Reads the header blocks of one direction of a connection, in their order: later ones refer to earlier ones."""

    def __init__(self) -> None:
        self._hpack: Any = None

    def fields(self, block: bytes) -> list[tuple[bytes, bytes]]:
        """What a block says. Raises Fault."""
        import hpack  # and logging with it: with the first block that is not known already

        if self._hpack is None:
            self._hpack = hpack.Decoder(HEADER_LIMIT)
        try:
            return [(bytes(name), bytes(value)) for name, value in self._hpack.decode(block, raw=True)]
        except hpack.OversizedHeaderListError:
            raise Fault(Reason.ENHANCE_YOUR_CALM, "too many headers") from None
        except hpack.HPACKError:
            raise Fault(Reason.COMPRESSION_ERROR, "headers that cannot be read") from None

    def table(self) -> tuple[int, int, object]:
        """Limit and length of the table and its newest entry. As long as these are the same, and the entry the same
        object, a block that has changed none of them means what it meant."""
        if self._hpack is None:
            return TABLE_SIZE, 0, None
        table = self._hpack.header_table
        entries = table.dynamic_entries
        return table.maxsize, len(entries), entries[0] if entries else None
