"""What the SVG plots share: 800 pixels of width, and colours that follow the reader's light or dark page."""

from __future__ import annotations

import math
from collections.abc import Sequence
from xml.sax.saxutils import escape

WIDTH = 800
_CHARACTER = 6.4
"""Pixels of a character of 12 px sans-serif, on the large side: fonts differ."""
_STYLE = """\
text{font:12px system-ui,-apple-system,"Segoe UI","DejaVu Sans",sans-serif;fill:#24292f}
.title{font-size:15px;font-weight:600}.dim{fill:#656d76}.strong{font-weight:600}.page{fill:#fff}.grid{stroke:#d8dee4}
.c0{fill:#2f7d5b}.c1{fill:#b5563c}.c2{fill:#4b6cb7}.c3{fill:#8a6d3b}.c4{fill:#8250a8}.part{fill:#8fc2aa}
@media(prefers-color-scheme:dark){text{fill:#e6edf3}.dim{fill:#9198a1}.page{fill:#0d1117}.grid{stroke:#30363d}
.c0{fill:#4fb286}.c1{fill:#e0805f}.c2{fill:#7d9bea}.c3{fill:#c9a55c}.c4{fill:#b48ad6}.part{fill:#2d6b50}}"""
COLOURS = 5
"""Of bars: the classes c0 to c4."""


def document(title: str, height: float, parts: Sequence[str]) -> str:
    """The picture of these parts, with a title at its top."""
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:g}" width="{WIDTH}" '
            f'height="{height:g}">',
            f"<title>{escape(title)}</title>",
            f"<style>{_STYLE}</style>",
            '<rect class="page" width="100%" height="100%" rx="6"/>',
            text(16, 26, title, "title"),
            *parts,
            "</svg>\n",
        ]
    )


def text(x: float, y: float, words: str, look: str = "", anchor: str = "") -> str:
    """Words with their base line at `y`; `look` are classes, `anchor` is `end` or `middle`."""
    attributes = (f' class="{look}"' if look else "") + (f' text-anchor="{anchor}"' if anchor else "")
    return f'<text x="{x:.1f}" y="{y:.1f}"{attributes}>{escape(words)}</text>'


def rectangle(x: float, y: float, width: float, height: float, look: str) -> str:
    """A bar."""
    return f'<rect class="{look}" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:g}" rx="2"/>'


def text_width(words: str) -> float:
    """About how many pixels words take."""
    return len(words) * _CHARACTER


def clipped(words: str, width: float) -> str:
    """The words, cut to fit into so many pixels."""
    most = int(width / _CHARACTER)
    return words if len(words) <= most else words[: max(0, most - 1)] + "…"


def number(value: float) -> str:
    """Three digits that count."""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def ticks(end: float, most: int) -> list[float]:
    """Round values from 0 to `end`, at most `most` steps of 1, 2 or 5 times a power of ten."""
    if end <= 0:
        return [0.0]
    power = 10.0 ** math.floor(math.log10(end / most))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor * most >= end)
    return [step * count for count in range(math.floor(end / step + 1e-9) + 1)]
