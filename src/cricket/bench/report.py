"""Rounds of several runtimes as one comparison: medians, ratios with their spread, as table, Markdown, JSON, SVG."""

from __future__ import annotations

import re
import statistics
from collections.abc import Sequence

import msgspec

from cricket.bench.drawing import COLOURS, WIDTH, clipped, document, number, rectangle, text, text_width

_EDGE, _LEFT, _LENGTH = 16, 268, 360
_BAR, _GAP = 16, 10

Rounds = dict[str, list[dict[str, float]]]
"""Runtime to its rounds; round i of every runtime was measured next to the others'."""


class Row(msgspec.Struct, frozen=True):
    """One figure. `values`: medians by runtime; `ratios`: (lowest, median, highest) of first runtime / other."""

    figure: str
    values: dict[str, float]
    ratios: dict[str, tuple[float, float, float]]


def compare(rounds: Rounds) -> list[Row]:
    """A row for each figure that the first runtime has, in the order of measuring."""
    names = list(rounds)
    first, rows = names[0], []
    for figure in dict.fromkeys(key for each in rounds[first] for key in each):
        values, ratios = {}, {}
        for name in names:
            seen = [each[figure] for each in rounds[name] if figure in each]
            if seen:
                values[name] = statistics.median(seen)
        for name in names[1:]:
            pairs = zip(rounds[first], rounds[name], strict=False)
            found = [a[figure] / b[figure] for a, b in pairs if b.get(figure) and figure in a]
            if found:
                ratios[name] = (min(found), statistics.median(found), max(found))
        rows.append(Row(figure, values, ratios))
    return rows


def cells(rows: list[Row]) -> tuple[list[str], list[list[str]]]:
    """Header and rows of text, for a table or Markdown."""
    names = list(rows[0].values) if rows else []
    header = ["figure", *names, *(f"ratio to {name}" for name in names[1:])]
    lines = []
    for row in rows:
        line = [row.figure, *(_number(row.values.get(name)) for name in names)]
        for name in names[1:]:
            ratio = row.ratios.get(name)
            line.append(f"{ratio[1]:.2f} ({ratio[0]:.2f} to {ratio[2]:.2f})" if ratio else "")
        lines.append(line)
    return header, lines


def markdown(rows: list[Row]) -> str:
    """A Markdown table."""
    header, lines = cells(rows)
    rule = ["---"] + ["---:"] * (len(header) - 1)
    return "\n".join("| " + " | ".join(line) + " |" for line in (header, rule, *lines)) + "\n"


def svg(rows: list[Row], title: str) -> str:
    """Horizontal bars, one group a figure, each scaled to its own largest value; with the ratios of the first to the
    others."""
    names = list(rows[0].values) if rows else []
    parts, top = _legend(names)
    for row in rows:
        group, height = _group(row, names, top)
        parts += group
        top += height
    return document(title, top + 8, parts)


def _legend(names: Sequence[str]) -> tuple[list[str], float]:
    """The names with their colours, in as many lines as they need; and where the bars begin."""
    parts, x, y = [], float(_EDGE), 46.0
    for number_, name in enumerate(names):
        width = text_width(name) + 34
        if x + width > WIDTH and x > _EDGE:
            x, y = float(_EDGE), y + 18
        parts += [rectangle(x, y - 9, 10, 10, _colour(number_)), text(x + 15, y, name)]
        x += width
    scale = "Each figure has its own scale. Less is better, but of what is counted per second."
    note = f"{scale} ×: {names[0]} to the other." if len(names) > 1 else ""
    if note:
        y += 18
        parts.append(text(_EDGE, y, note, "dim"))
    return parts, y + 16


def _group(row: Row, names: Sequence[str], top: float) -> tuple[list[str], float]:
    """The bars of one figure, and how high they are."""
    figure, unit = split_unit(row.figure)
    height = _BAR * len(names)
    middle = top + height / 2 + 3
    parts = [text(_LEFT - 12, middle, clipped(figure, _LEFT - 12 - _EDGE), anchor="end")]
    largest = max((value for value in row.values.values()), default=0) or 1
    for at, name in enumerate(names):
        value, ratio, y = row.values.get(name), row.ratios.get(name), top + at * _BAR
        if value is None:
            parts.append(text(_LEFT, y + 11, "not measured", "dim"))
            continue
        length = max(1.0, max(value, 0) / largest * _LENGTH)
        parts.append(rectangle(_LEFT, y, length, _BAR - 3, _colour(at)))
        parts.append(text(_LEFT + length + 6, y + 11, f"{number(value)} {unit}".rstrip()))
        if ratio:
            parts.append(text(WIDTH - _EDGE, y + 11, f"{ratio[1]:.2f}×", "dim", "end"))
    return parts, height + _GAP


def split_unit(figure: str) -> tuple[str, str]:
    """A figure's name and its unit, which is its last word: `pod start p50 ms`; also `%` and `per s`."""
    match = re.fullmatch(r"(.*?)[, ]*\b(per s|ms|s|MiB/s|MiB|MB/s|lines/s|%)", figure) or re.fullmatch(
        r"(.*?) (%)", figure
    )
    return (match[1], "/s" if match[2] == "per s" else match[2]) if match and match[1] else (figure, "")


def _colour(at: int) -> str:
    return f"c{at % COLOURS}"


def _number(value: float | None) -> str:
    return "" if value is None else number(value)
