"""Names of plugins: an index of two digits, by which they are ordered, and a base name."""

from __future__ import annotations

import re

from cricket.errors import InvalidArgument

_NAME = re.compile(r"[a-zA-Z0-9_.+-]+")
_INDEX = re.compile(r"[0-9]{2}")


def parse_name(name: str) -> tuple[str, str]:
    """Index and base name of a pre-installed plugin's file ("10-balloons"); raises InvalidArgument."""
    index, _, base = name.partition("-")
    check_name(index, base)
    return index, base


def check_name(index: str, base: str) -> None:
    """Raises InvalidArgument unless the index is two digits and the name made of letters, digits and ``_.+-``."""
    if not _INDEX.fullmatch(index):
        raise InvalidArgument(f"plugin index {index!r} is not two digits", where=base)
    if not _NAME.fullmatch(base):
        raise InvalidArgument(f"invalid plugin name {base!r}", where=index)
