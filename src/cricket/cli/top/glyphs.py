"""Bars and sparklines, in the characters that the terminal has."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from cricket.cli.top.model import History
from cricket.cli.top.text import Span

WARN, BAD = 0.7, 0.9
"""Shares from which on a bar is yellow and red."""


class Glyphs(NamedTuple):
    """The characters that drawings are made of. `levels` begins with the one for nothing."""

    full: str
    half: str
    empty: str
    levels: str
    fork: str
    last: str
    open: str
    closed: str
    cut: str
    down: str
    up: str
    rule: str
    dot: str


UNICODE = Glyphs("━", "╸", "─", " ▁▂▃▄▅▆▇█", "├ ", "└ ", "▾ ", "▸ ", "…", "↓", "↑", "─", "·")
ASCII = Glyphs("=", "-", ".", " ._-=+*#@", "|-", "`-", "- ", "+ ", "~", "v", "^", "-", "-")


def of_encoding(encoding: str | None) -> Glyphs:
    """What an output of this encoding can show."""
    try:
        "".join(UNICODE).encode(encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return ASCII
    return UNICODE


def mood(share: float) -> str:
    """The style for a share of something that is limited."""
    return "good" if share < WARN else "warn" if share < BAD else "bad"


def bar(share: float, columns: int, glyphs: Glyphs, style: str = "") -> list[Span]:
    """A bar of `columns`, filled to `share` (0 to 1) and coloured by it."""
    halves = round(max(0.0, min(1.0, share)) * columns * 2)
    if share > 0 and not halves:
        halves = 1
    full = glyphs.full * (halves // 2) + glyphs.half * (halves % 2)
    return [Span(full, style or mood(share)), Span(glyphs.empty * (columns - len(full)), "dim")]


def sparkline(history: History, columns: int, top: float, glyphs: Glyphs) -> str:
    """The newest values at the right end of `columns`; `top` is the value of the highest mark. Of more values than
    there are columns each column is the largest of a group, and groups keep their borders while values come in."""
    values = history.values
    size = max(1, math.ceil(len(values) / columns)) if columns else 1
    groups: dict[int, float] = {}
    for number, value in enumerate(values, history.total - len(values)):
        groups[number // size] = max(value, groups.get(number // size, 0.0))
    marks = "".join(level(value, top, glyphs) for value in list(groups.values())[-columns:])
    return marks.rjust(columns)


def level(value: float, top: float, glyphs: Glyphs) -> str:
    """One mark; the smallest of them stands for nothing, so that the line is seen."""
    steps = len(glyphs.levels) - 1
    return glyphs.levels[max(1, min(steps, math.ceil(value / top * steps)))] if top > 0 else glyphs.levels[1]


def peak(values: Sequence[float], least: float) -> float:
    """The scale of a sparkline: its largest value, but no less than `least`, below which all is quiet."""
    return max((*values, least))
