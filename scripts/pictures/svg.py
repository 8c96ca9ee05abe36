"""A screen as SVG: text on a grid, in a dark window that looks the same on light pages and dark ones."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import groupby
from xml.sax.saxutils import escape

from scripts.pictures.screen import Cell, Style

_CELL, _LINE, _SIZE = 8.4, 18, 14
_EDGE, _TITLE = 16, 34
_PAPER, _INK, _FRAME = "#11161d", "#d5dbe3", "#2a323d"
_COLOURS = (
    *("#3b4350", "#f2777a", "#7bc77e", "#e3b755", "#6fa8ec", "#c792ea", "#56c5c5", "#d5dbe3"),
    *("#7d8796", "#ff9a9c", "#9be29d", "#ffd580", "#93c3ff", "#dcb3ff", "#7fe3e3", "#ffffff"),
)

_WORDS = re.compile(r"\S+(?: \S+)*")
"""Several spaces together would be one in an SVG."""


def svg(lines: Sequence[Sequence[Cell]], title: str, columns: int) -> str:
    """The picture of these lines in a window with a title; empty lines at the end are left out."""
    lines = list(lines)
    while lines and not _text(lines[-1]).strip():
        lines.pop()
    width = round(columns * _CELL + 2 * _EDGE)
    height = _TITLE + len(lines) * _LINE + _EDGE
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}">',
        f"<title>{escape(title)}</title>",
        f"<style>text{{font:{_SIZE}px ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace;"
        f"fill:{_INK}}}.b{{font-weight:bold}}{_classes(lines)}</style>",
        f'<rect x=".5" y=".5" width="{width - 1}" height="{height - 1}" rx="8" fill="{_PAPER}" stroke="{_FRAME}"/>',
    ]
    for number, colour in enumerate(("#f2777a", "#e3b755", "#7bc77e")):
        out.append(f'<circle cx="{20 + number * 18}" cy="18" r="5.5" fill="{colour}"/>')
    out.append(f'<text x="{width / 2:g}" y="23" text-anchor="middle" style="fill:#7d8796">{escape(title)}</text>')
    for number, line in enumerate(lines):
        out += _line(line, _TITLE + number * _LINE)
    return "\n".join([*out, "</svg>\n"])


def _line(line: Sequence[Cell], top: int) -> Iterator[str]:
    """Runs of one style; `textLength` holds them on the grid whatever font there is."""
    column = 0
    for style, run in groupby(line, key=lambda cell: cell.style):
        text = "".join(cell.text for cell in run)
        begin, column = column, column + len(text)
        colour, background = style.colour, style.background
        if style.reverse:
            fill = _COLOURS[colour] if colour >= 0 else _INK
            yield _rect(begin, len(text), top, fill)
        elif background >= 0:
            yield _rect(begin, len(text), top, _COLOURS[background])
        names = " ".join(_names(style))
        look = f' class="{names}"' if names else ""
        for match in _WORDS.finditer(text):
            x, length = _EDGE + (begin + match.start()) * _CELL, len(match[0]) * _CELL
            said = escape(match[0])
            yield f'<text x="{x:g}" y="{top + 13.5:g}"{look} textLength="{length:g}">{said}</text>'


def _rect(column: int, count: int, top: int, fill: str) -> str:
    return f'<rect x="{_EDGE + column * _CELL:g}" y="{top}" width="{count * _CELL:g}" height="{_LINE}" fill="{fill}"/>'


def _names(style: Style) -> Iterator[str]:
    if style.bold:
        yield "b"
    if style.reverse:
        yield "r"
    elif style.colour >= 0:
        yield f"c{style.colour}"


def _classes(lines: Sequence[Sequence[Cell]]) -> str:
    """Rules for the colours that occur."""
    names = {name for line in lines for cell in line for name in _names(cell.style)} - {"b"}
    rules = {"r": _PAPER} | {f"c{number}": colour for number, colour in enumerate(_COLOURS)}
    return "".join(f".{name}{{fill:{rules[name]}}}" for name in sorted(names))


def _text(line: Sequence[Cell]) -> str:
    return "".join(cell.text for cell in line)
