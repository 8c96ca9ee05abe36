"""Lines made of styled pieces: their width, cutting them, and how a terminal is told of the styles."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from typing import NamedTuple


class Span(NamedTuple):
    """A piece of a line; `style` is a name of `STYLES`."""

    text: str
    style: str = ""


Line = Sequence[Span]

STYLES = {
    "": "",
    "bold": "1",
    "dim": "90",
    "good": "32",
    "warn": "33",
    "bad": "31",
    "accent": "36",
    "title": "1;36",
    "alarm": "1;31",
}
"""SGR codes of the sixteen colours, whose look is the user's own choice."""

_SEQUENCE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_])")


def clean(text: str) -> str:
    """Text of others without what would talk to the terminal; tabs become spaces."""
    text = _SEQUENCE.sub("", text).expandtabs(4)
    return text if text.isprintable() else "".join(c if c.isprintable() else "?" for c in text)


def width(text: str) -> int:
    """Columns that a text takes: East Asian wide characters take two, combining ones none."""
    if text.isascii():
        return len(text)
    return sum(_columns(character) for character in text)


def _columns(character: str) -> int:
    if unicodedata.combining(character) or unicodedata.category(character) == "Cf":
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def clip(text: str, columns: int, mark: str = "") -> str:
    """The text, cut to `columns`; `mark` ends one that was cut."""
    if width(text) <= columns:
        return text
    kept, room = "", columns - len(mark)
    for character in text:
        room -= _columns(character)
        if room < 0:
            break
        kept += character
    return (kept + mark)[: max(0, columns)]


def fit(text: str, columns: int, *, right: bool = False, mark: str = "") -> str:
    """The text in exactly `columns`."""
    text = clip(text, columns, mark)
    space = " " * (columns - width(text))
    return space + text if right else text + space


def line_width(line: Line) -> int:
    """Columns of a line."""
    return sum(width(span.text) for span in line)


def cut(line: Line, columns: int) -> list[Span]:
    """The line, cut to `columns`."""
    kept = list[Span]()
    for span in line:
        text = clip(span.text, columns)
        columns -= width(text)
        kept.append(Span(text, span.style))
        if text != span.text or columns <= 0:
            break
    return kept


def filled(line: Line, columns: int) -> list[Span]:
    """The line in exactly `columns`."""
    kept = cut(line, columns)
    return [*kept, Span(" " * (columns - line_width(kept)))]


def ends(left: Line, right: Line, columns: int) -> list[Span]:
    """Two lines at the two ends of one; the left one makes room."""
    room = max(0, columns - line_width(right))
    return cut([*filled(left, room), *right], columns)


def plain(line: Line) -> str:
    """Only the text."""
    return "".join(span.text for span in line).rstrip()


def painted(line: Line, *, colours: bool, chosen: bool = False) -> str:
    """With the codes for a terminal. A chosen line is shown in reverse, which works without colours, too."""
    if chosen:
        return f"\x1b[7m{''.join(span.text for span in line)}\x1b[0m"
    if not colours:
        # Bold is no colour (no-color.org).
        return _join((s.text, "1" if STYLES[s.style].startswith("1") else "") for s in line)
    return _join((s.text, STYLES[s.style]) for s in line)


def _join(pieces: Iterable[tuple[str, str]]) -> str:
    return "".join(f"\x1b[{code}m{text}\x1b[0m" if code and text else text for text, code in pieces)
