"""Checks of single request fields. Each raises InvalidArgument that names the field as CRI spells it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import IntEnum
from typing import Any, TypeVar

from cricket.errors import InvalidArgument

A = TypeVar("A")
B = TypeVar("B")
E = TypeVar("E", bound=IntEnum)


def required(value: str, field: str) -> str:
    """A text that must not be empty."""
    if not value:
        raise InvalidArgument("the request lacks a field", where=field)
    return text(value, field)


def present(message: Any, name: str, field: str) -> Any:
    """The sub-message `name`, which must be set."""
    if not message.HasField(name):
        raise InvalidArgument("the request lacks a field", where=field)
    return getattr(message, name)


def text(value: str, field: str) -> str:
    """A text that ends up in a path, an argument or the environment, where a NUL byte would cut it off."""
    if "\0" in value:
        raise InvalidArgument("the field holds a NUL byte", where=field)
    return value


def texts(values: Iterable[str], field: str) -> tuple[str, ...]:
    """`text` for a repeated field."""
    return tuple(text(v, field) for v in values)


def number(kind: type[E], value: int, field: str) -> E:
    """An enum value. proto3 lets unknown numbers through; they are refused here."""
    try:
        return kind(value)
    except ValueError as e:
        raise InvalidArgument(f"the field has the unknown value {value}", where=field) from e


def not_negative(value: int, field: str) -> int:
    """A number that must be 0 or more."""
    if value < 0:
        raise InvalidArgument(f"the field is negative ({value})", where=field)
    return value


def wire(value: int) -> Any:
    """An enum value as protobuf takes it: a plain int, which the stubs' enum classes do not admit."""
    return int(value)


def maybe(convert: Callable[[A], B], value: A | None) -> B | None:
    """`convert` what is there; None stays None."""
    return None if value is None else convert(value)
