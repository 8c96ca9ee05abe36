"""What the commands print for people: tables, trees and lines; and messages as plain values."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

_COLOURS = {"green": "32", "yellow": "33", "red": "31", "grey": "90"}


class Styled(str):
    """A cell with a colour, which only a terminal gets to see."""

    __slots__ = ("colour",)
    colour: str

    def __new__(cls, text: str, colour: str) -> Styled:
        styled = super().__new__(cls, text)
        styled.colour = colour
        return styled


def colourful() -> bool:
    """Whether standard output is a terminal whose user wants colours (no-color.org)."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def print_table(header: Sequence[str], rows: Iterable[Sequence[str]], *, right: str = "", headers: bool = True) -> None:
    """Print aligned columns two spaces apart; `right` names columns of numbers. Without rows only the header."""
    columns = {i for i, name in enumerate(header) if name in right.split()}
    cells = [[safe(cell) for cell in row] for row in (*([header] if headers else []), *rows)]
    widths = [max((len(row[i]) for row in cells), default=0) for i in range(len(header))]
    colours = colourful()
    for row in cells:
        print("  ".join(_pad(cell, widths[i], i in columns, colours) for i, cell in enumerate(row)).rstrip())


def print_line(*words: str) -> None:
    """Print words, those that are not empty, two spaces apart, at once."""
    colours = colourful()
    cells = [safe(word) for word in words if word]
    print("  ".join(_pad(cell, len(cell), False, colours) for cell in cells).rstrip(), flush=True)


def _pad(cell: str, width: int, right: bool, colours: bool) -> str:
    space = " " * (width - len(cell))
    text = str(cell)
    if colours and isinstance(cell, Styled):
        text = f"\x1b[{_COLOURS[cell.colour]}m{text}\x1b[0m"
    return space + text if right else text + space


def safe(cell: str) -> str:
    """Without control characters. Names come from others: none may break a line or talk to the terminal."""
    if cell.isprintable():
        return cell
    return "".join(c if c.isprintable() else "?" for c in cell)


def plain(value: Any) -> Any:
    """A protobuf message as the dictionary of its JSON form, with all fields, as crictl has it; other values as they
    are."""
    if not hasattr(value, "DESCRIPTOR"):
        return value
    from google.protobuf import json_format

    return json_format.MessageToDict(value, always_print_fields_with_no_presence=True)


def parsed(info: dict[str, str]) -> dict[str, Any]:
    """The verbose `info` of a status: values that are JSON are read, so that they nest."""
    return {key: _parsed(text) for key, text in sorted(info.items())}


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def print_tree(value: Any) -> None:
    """Print nested dictionaries and lists as indented lines; what is empty is left out."""
    for line in _tree(value, ""):
        print(line)


def _tree(value: Any, indent: str) -> Iterator[str]:
    entries = value.items() if isinstance(value, dict) else [("-", item) for item in value]
    for key, item in entries:
        if item in ("", None, {}, []):
            continue
        label = "-" if key == "-" else f"{safe(str(key))}:"
        if isinstance(item, dict | list):
            inner = list(_tree(item, indent + "  "))
            if key == "-" and inner:
                yield f"{indent}- {inner.pop(0).lstrip()}"
            else:
                yield f"{indent}{label}"
            yield from inner
        else:
            text = str(item).lower() if isinstance(item, bool) else str(item)
            first, *more = text.splitlines() or [""]
            yield f"{indent}{label} {safe(first)}"
            yield from (f"{indent}  {safe(line)}" for line in more)
