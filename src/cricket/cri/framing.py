"""Protobuf framing by hand, so that a list is the concatenation of items that were serialised once.

A repeated message field is, on the wire, each item as (tag, length, bytes); messages that are concatenated are merged.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Generic, Protocol, TypeVar

BATCH_BYTES = 1 << 20
"""A stream's message is closed when it reaches this size: far from every limit, and few messages."""

_LENGTH_DELIMITED = 2


class Record(Protocol):
    """An immutable value with an id; a change makes a new value."""

    @property
    def id(self) -> str:
        """Its id."""


R = TypeVar("R", bound=Record)


def framed(payload: bytes, field: int = 1) -> bytes:
    """`payload` as an element of the length-delimited field number `field` (1 to 15)."""
    head = bytearray(_tag(field))
    length = len(payload)
    while length > 0x7F:
        head.append(length & 0x7F | 0x80)
        length >>= 7
    head.append(length)
    return bytes(head) + payload


def _tag(field: int) -> bytes:
    return bytes((field << 3 | _LENGTH_DELIMITED,))


class ItemCache(Generic[R]):
    """The serialised form of each record, kept for as long as the record object is the same.

    Records are immutable, so identity is enough: what changed is another object. Every list and status answer has its
    records in field 1, so they are kept framed for that.
    """

    def __init__(self, build: Callable[[R], Any]) -> None:
        self._build = build
        self._items: dict[str, tuple[R, bytes]] = {}
        self._joined: tuple[list[R], bytes] = ([], b"")

    def item(self, record: R) -> bytes:
        """The record's message as an element of field 1."""
        entry = self._items.get(record.id)
        if entry is None or entry[0] is not record:
            entry = self._items[record.id] = (record, framed(self._build(record).SerializeToString()))
        return entry[1]

    def element(self, record: R, field: int) -> bytes:
        """The record's message as an element of another field."""
        return _tag(field) + self.item(record)[1:]

    def items(self, records: Iterable[R]) -> list[bytes]:
        """Each record as an element of field 1."""
        return [self.item(record) for record in records]

    def joined(self, records: list[R]) -> bytes:
        """A whole list answer. The last one is kept: a kubelet asks every second, and mostly nothing has changed."""
        if records != self._joined[0]:
            self._joined = (records, b"".join(self.items(records)))
        return self._joined[1]

    def prune(self, records: Sequence[R]) -> None:
        """Forget what is not among `records` (all that exist); cheap while little has gone."""
        if len(self._items) > 2 * len(records) + 16:
            alive = {record.id for record in records}
            self._items = {key: entry for key, entry in self._items.items() if key in alive}


def batches(items: Iterable[bytes], limit: int = BATCH_BYTES) -> Iterator[bytes]:
    """Framed items joined to messages of at least one item and about `limit` bytes; nothing for no items."""
    batch: list[bytes] = []
    size = 0
    for item in items:
        batch.append(item)
        size += len(item)
        if size >= limit:
            yield b"".join(batch)
            batch, size = [], 0
    if batch:
        yield b"".join(batch)
