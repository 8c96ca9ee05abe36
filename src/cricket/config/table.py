"""The table of all keys, read off the structs of `model.py`."""

from __future__ import annotations

import functools
import typing
from collections.abc import Iterator
from typing import Any

import msgspec

from cricket.config.key import Key
from cricket.config.model import Config, Handler

NAME = "<name>"


class Entry(msgspec.Struct, frozen=True):
    """One key: its dotted name (a handler's with "<name>"), its Python type, its default and its mark."""

    name: str
    type: Any
    default: Any
    key: Key


@functools.cache
def fields(struct: type[msgspec.Struct]) -> dict[str, Entry | type[msgspec.Struct]]:
    """The keys and the sections of a struct by name; `handlers` is represented by `Handler`."""
    hints = typing.get_type_hints(struct, include_extras=True)
    found: dict[str, Entry | type[msgspec.Struct]] = {}
    for field in msgspec.structs.fields(struct):
        hint = hints[field.name]
        if hint == dict[str, Handler]:
            found[field.name] = Handler
        elif typing.get_origin(hint) is typing.Annotated:
            kind, mark = typing.get_args(hint)
            found[field.name] = Entry(field.name, kind, field.default, mark)
        else:
            found[field.name] = hint
    return found


def is_named(struct: type[msgspec.Struct]) -> bool:
    """Whether the section is a table of named tables ([handlers.crun])."""
    return struct is Handler


def sections() -> Iterator[tuple[str, type[msgspec.Struct]]]:
    """Every section by its header, the top level ("") first."""
    yield "", Config
    for name, value in fields(Config).items():
        if not isinstance(value, Entry):
            yield (f"{name}.{NAME}" if is_named(value) else name), value


@functools.cache
def table() -> dict[str, Entry]:
    """Every key by its dotted name."""
    found = {}
    for header, struct in sections():
        for name, entry in fields(struct).items():
            if isinstance(entry, Entry):
                dotted = f"{header}.{name}" if header else name
                found[dotted] = msgspec.structs.replace(entry, name=dotted)
    return found


def entry_of(dotted: str) -> Entry | None:
    """The entry of a concrete key ("handlers.crun.path"); None when there is none."""
    parts = dotted.split(".")
    if parts[0] == "handlers" and len(parts) == 3:
        parts[1] = NAME
    return table().get(".".join(parts))
