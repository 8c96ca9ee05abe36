"""Rounds of several runtimes as one comparison: medians, ratios with their spread, as table, Markdown, JSON, SVG."""

from __future__ import annotations

import statistics

import msgspec

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
    """Horizontal bars, one group a figure, each scaled to its own largest value."""
    names = list(rows[0].values) if rows else []
    colours = ("#2f7d5b", "#b5563c", "#4b6cb7", "#8a6d3b")
    bar, gap, left, width = 14, 12, 330, 420
    group = bar * len(names) + gap
    height = 60 + group * len(rows) + 20
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + width + 110}" height="{height}" '
        'font-family="sans-serif" font-size="12">',
        f'<rect width="100%" height="100%" fill="white"/><text x="12" y="22" font-size="15">{_escape(title)}</text>',
    ]
    for i, name in enumerate(names):
        x = left + i * 150
        out.append(f'<rect x="{x}" y="34" width="10" height="10" fill="{colours[i % 4]}"/>')
        out.append(f'<text x="{x + 15}" y="44">{_escape(name)}</text>')
    for number, row in enumerate(rows):
        top = 60 + number * group
        middle = top + bar * len(names) / 2 + 4
        out.append(f'<text x="{left - 10}" y="{middle}" text-anchor="end">{_escape(row.figure)}</text>')
        largest = max((v for v in row.values.values()), default=0) or 1
        for i, name in enumerate(names):
            value = row.values.get(name)
            if value is not None:
                y, length = top + i * bar, max(1.0, max(value, 0) / largest * width)
                out.append(
                    f'<rect x="{left}" y="{y}" width="{length:.1f}" height="{bar - 2}" fill="{colours[i % 4]}"/>'
                )
                out.append(f'<text x="{left + length + 5:.1f}" y="{y + bar - 4}">{_number(value)}</text>')
    return "\n".join([*out, "</svg>\n"])


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def _escape(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;")
