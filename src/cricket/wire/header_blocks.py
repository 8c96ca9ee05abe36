"""Header blocks for HTTP/2 that get short (sans I/O; RFC 7541): what was said once is only referred to afterwards."""

from __future__ import annotations

from collections.abc import Iterable

TABLE_SIZE = 4096
_STATIC = 61
_OVERHEAD = 32
_NO_TABLE = b"\x20"  # a dynamic table size update to 0, section 6.3


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
    """Makes the header blocks of one direction of a connection. Nothing is evicted: a full table stays as it is."""

    def __init__(self) -> None:
        self._table: dict[tuple[bytes, bytes], int] = {}
        self._room = TABLE_SIZE
        self._update = b""

    def limit(self, size: int) -> None:
        """The peer's table holds `size` bytes; from a smaller one than there is nothing is taken any more."""
        if size < TABLE_SIZE and self._room >= 0:
            self._table.clear()
            self._room, self._update = -1, _NO_TABLE

    def block(self, fields: Iterable[tuple[bytes, bytes]]) -> bytes:
        """The block of these fields; it has to be sent, and in this order."""
        out, self._update = [self._update], b""
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
