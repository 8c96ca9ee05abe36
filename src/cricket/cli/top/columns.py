"""The table: which columns a width has room for, and the text of each cell."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from cricket.cli.top.glyphs import Glyphs, bar, mood, peak, sparkline
from cricket.cli.top.model import Container, Pod
from cricket.cli.top.text import Line, Span, clean, clip, fit, line_width, width
from cricket.cli.top.view import Row, View
from cricket.cli.words import age, memory, size

_LEAST_NAME, _MOST_NAME = 18, 48
_WIDE = 110
_QUIET = 5.0
"""Percent of a CPU below which a sparkline stays flat."""


class Column(NamedTuple):
    """`least` and `most`: columns of the screen; `sort`: the order that it is about."""

    title: str
    least: int
    most: int
    sort: str = ""
    right: bool = True


_COLUMNS = {
    "name": Column("POD / CONTAINER", _LEAST_NAME, _MOST_NAME, "name", right=False),
    "state": Column("STATE", 9, 9, right=False),
    "cpu": Column("CPU%", 5, 5, "cpu"),
    "memory": Column("MEMORY", 7, 7, "memory"),
    "limit": Column("LIMIT", 7, 7),
    "used": Column("USED", 4, 12),
    "received": Column("RX/s", 6, 6, "network"),
    "sent": Column("TX/s", 6, 6),
    "disk": Column("DISK", 6, 6, "disk"),
    "processes": Column("PIDS", 4, 4),
    "restarts": Column("RST", 3, 8, "restarts"),
    "age": Column("AGE", 4, 4, "age"),
    "minute": Column("CPU, LAST MINUTE", 6, 60, right=False),
}
_WANTED = (
    *("name", "cpu", "memory", "state", "age", "restarts", "minute", "used"),
    *("received", "sent", "processes", "disk", "limit"),
)
"""Those that stay longest first."""

_OF_PODS = ("received", "sent", "processes")
"""What CRI tells of pods only."""

Layout = dict[str, int]
"""Column to its width, in the order of the screen."""


def layout(columns: int, names: int) -> tuple[Layout, int]:
    """The columns that there is room for with their widths, and the gap between them. `names`: the longest name."""
    gap = 2 if columns >= _WIDE else 1
    chosen, room = set[str](), columns
    for key in _WANTED:
        need = _least(key, columns, names) + (gap if chosen else 0)
        if need > room:
            break
        chosen.add(key)
        room -= need
    if "sent" not in chosen and "received" in chosen:  # half of the traffic would pass for all of it
        chosen.remove("received")
        room += _COLUMNS["received"].least + gap
    widths = {key: _least(key, columns, names) for key in _COLUMNS if key in chosen}
    for key in ("name", "used", "restarts", "minute"):
        if key in widths and (columns >= _WIDE or key in ("name", "minute")):
            most = min(_COLUMNS[key].most, names) if key == "name" else _COLUMNS[key].most
            grown = max(0, min(room, most - widths[key]))
            widths[key] += grown
            room -= grown
    return widths, gap


def _least(key: str, columns: int, names: int) -> int:
    """A quarter of the screen is for names that need it; a sparkline may be longer on a wide one."""
    if key == "name":
        return max(_LEAST_NAME, min(names, round(columns * 0.27)))
    return 12 if key == "minute" and columns >= _WIDE - 20 else _COLUMNS[key].least


def longest(rows: Sequence[Row]) -> int:
    """Columns of the longest name, with what stands before it."""
    return max((width(clean(row.container.name if row.container else row.pod.key)) + 4 for row in rows), default=0)


def head(widths: Layout, gap: int, view: View, glyphs: Glyphs) -> list[Span]:
    """The titles; the one that the rows are sorted by says so."""
    line = list[Span]()
    for key, columns in widths.items():
        column = _COLUMNS[key]
        title = "RESTARTS" if column.title == "RST" and columns >= 8 else column.title
        title = "MINUTE" if key == "minute" and columns < 16 else title
        sorted_by = bool(column.sort) and column.sort == view.sort
        if sorted_by:
            mark = glyphs.up if view.backwards else glyphs.down
            title = f"{mark}{title}" if column.right else f"{title} {mark}"
        line.append(Span(fit(title, columns, right=column.right), "title" if sorted_by else "bold"))
        line.append(Span(" " * gap))
    return line[:-1]


def line(row: Row, widths: Layout, gap: int, view: View, glyphs: Glyphs, now: int) -> list[Span]:
    """One line of the tree; `now` in Unix nanoseconds."""
    item = row.container or row.pod
    found = list[Span]()
    for key, columns in widths.items():
        if key == "name":
            found += _name(row, columns, view, glyphs)
        elif key == "minute":
            found += _minute(row, columns, glyphs)
        elif key == "used":
            found += _used(item, columns, glyphs)
        else:
            text, style = _cell(item, key, now)
            found.append(Span(fit(text, columns, right=_COLUMNS[key].right, mark=glyphs.cut), style))
        found.append(Span(" " * gap))
    return found[:-1]


def _name(row: Row, columns: int, view: View, glyphs: Glyphs) -> Line:
    if row.container is not None:
        branch = "  " + (glyphs.last if row.last else glyphs.fork)
        return Span(branch, "dim"), Span(fit(clean(row.container.name), columns - 4, mark=glyphs.cut))
    sign = glyphs.closed if row.pod.id in view.folded else glyphs.open
    rest = columns - 2
    space = f"{clean(row.pod.namespace)}/"
    name = clean(row.pod.name)
    if width(space + name) > rest and width(space) > rest // 2:
        space = clip(space, max(2, rest - width(name)), f"{glyphs.cut}/")
    name = fit(name, rest - width(space), mark=glyphs.cut)
    return Span(sign, "dim"), Span(space, "dim"), Span(name, "bold")


def _minute(row: Row, columns: int, glyphs: Glyphs) -> Line:
    """A pod's sparkline: up to its limit when it has one, else up to its own peak."""
    if row.container is not None:
        return (Span(" " * columns),)
    usage, values = row.pod.usage, row.pod.history.values
    top = usage.cpu_limit or peak(values, _QUIET)
    style = mood(usage.cpu_share) if usage.cpu_share is not None else "accent"
    return (Span(sparkline(row.pod.history, columns, top, glyphs), style),)


def _used(item: Pod | Container, columns: int, glyphs: Glyphs) -> Line:
    """Memory as a share of its limit: a number, and a bar where there is room."""
    share = item.usage.memory_share
    if share is None:
        return (Span(" " * columns),)
    text = Span(f"{share:4.0%}", mood(share))
    if columns < 9:
        return Span(" " * (columns - width(text.text))), text
    drawn = bar(share, columns - 5, glyphs)
    return *drawn, Span(" " * (columns - line_width(drawn) - width(text.text))), text


def _cell(item: Pod | Container, key: str, now: int) -> tuple[str, str]:
    usage, quiet = item.usage, "" if isinstance(item, Container) else "bold"
    if key == "state":
        return item.state, item.mood
    if key in _OF_PODS and isinstance(item, Container):
        return "", ""
    if key == "cpu":
        style = mood(usage.cpu_share) if usage.cpu_share is not None else ""
        return percent(usage.cpu), style if style != "good" else quiet
    if key == "memory":
        style = mood(usage.memory_share) if usage.memory_share is not None else ""
        return "-" if usage.memory is None else memory(usage.memory), style if style != "good" else quiet
    if key == "restarts":
        count = item.restarts if isinstance(item, Pod) else item.attempt
        return str(count), "warn" if count else "dim"
    if key == "age":
        return age(item.since, now), ""
    if key == "limit":
        return (memory(usage.memory_limit), "") if usage.memory_limit else ("-", "dim")
    if key == "processes":
        return ("-", "dim") if usage.processes is None else (str(usage.processes), "")
    value = getattr(usage, key)
    return ("-", "dim") if value is None else (size(value), "" if value else "dim")


def percent(value: float | None) -> str:
    """Percent of one CPU in five columns, `-` when the runtime does not tell it."""
    return "-" if value is None else f"{value:.1f}" if value < 1000 else f"{value:.0f}"
