"""The fields of a protobuf message without protobuf, which takes longer to be imported than all of completion.

Values are numbers, and bytes for texts and messages. Every function raises RemoteError when the bytes are no message.
"""

from __future__ import annotations

from collections.abc import Iterator

from cricket.client.errors import RemoteError
from cricket.errors import Code

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
Value = int | bytes


def fields(message: bytes) -> Iterator[tuple[int, Value]]:
    """The numbers and values of all fields."""
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
            raise RemoteError(Code.INTERNAL, "the answer is no protobuf message")
        if at + length > len(message):
            raise RemoteError(Code.INTERNAL, "the answer is cut off")
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
    raise RemoteError(Code.INTERNAL, "the answer is cut off")


def text(message: bytes, *path: int) -> str:
    """The text at a path of field numbers, "" when it is not set."""
    found: Value = message
    for number in path:
        inner = found if isinstance(found, bytes) else b""
        found = next((value for key, value in fields(inner) if key == number), b"")
    return found.decode("utf-8", "replace") if isinstance(found, bytes) else ""


def number(message: bytes, field: int) -> int:
    """The number in a field, 0 when it is not set."""
    found = next((value for key, value in fields(message) if key == field), 0)
    return found if isinstance(found, int) else 0


def each(message: bytes, field: int) -> list[bytes]:
    """The values of a repeated field of texts or messages."""
    return [value for key, value in fields(message) if key == field and isinstance(value, bytes)]
