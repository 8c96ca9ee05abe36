"""The whole picture: head, table, details, and the line of keys; as lines for a screen of a given size."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from cricket.cli.top import columns as table
from cricket.cli.top.details import details
from cricket.cli.top.glyphs import Glyphs
from cricket.cli.top.header import header
from cricket.cli.top.model import Frame, LogText
from cricket.cli.top.text import Line, Span, cut, ends
from cricket.cli.top.view import View, place, rows


class Scene(msgspec.Struct, frozen=True, kw_only=True):
    """All that a picture is made of. `trouble`: why there is nothing newer, since `silent` seconds. `logs`: of what is
    chosen. `clock` in Unix nanoseconds."""

    frame: Frame
    view: View
    interval: float
    clock: int
    logs: tuple[LogText, ...] = ()
    trouble: str = ""
    silent: float = 0.0


class Screenful(NamedTuple):
    """Lines from top to bottom; `chosen` is the number of the line to be shown in reverse, or -1. `page`: rows of the
    table that there is room for."""

    lines: list[Line]
    chosen: int
    page: int


def screenful(scene: Scene, columns: int, height: int, glyphs: Glyphs) -> Screenful:
    """The picture in `columns` and `height`; never more, whatever the size."""
    frame, view = scene.frame, scene.view
    head: list[Line] = header(frame, columns, glyphs, rows=height, interval=scene.interval)
    if scene.trouble:
        head[0] = _trouble(scene, columns)
    shown = rows(frame, view)
    widths, gap = table.layout(columns, table.longest(shown))
    head += [(), table.head(widths, gap, view, glyphs)]
    if view.help:
        lines = [*head[:1], (), *_help(frame, columns, glyphs)]
        return Screenful([*_exactly(lines, height - 1), _foot(scene, len(shown), columns)], -1, height)
    below = _pane(height - len(head) - 1) if view.details and shown else 0
    page = max(1, height - len(head) - below - 1)
    at = place(view, shown)
    first = _first(at, len(shown), page)
    body: list[Line] = [table.line(row, widths, gap, view, glyphs, scene.clock) for row in shown[first : first + page]]
    if not shown:
        body = [[Span(f"nothing fits {view.filter!r}" if view.filter else "no pods", "dim")]]
    body = _exactly(body, page)
    if below:
        body += details(shown[at], scene.logs, columns, below, glyphs, scene.clock)
    lines = [*_exactly([*head, *body], height - 1), _foot(scene, len(shown), columns)]
    chosen = len(head) + at - first if shown and len(head) + at - first < height - 1 else -1
    return Screenful([cut(line, columns) for line in lines[:height]], chosen, page)


def _pane(room: int) -> int:
    """Lines of the details: about half of the room; none when there is too little."""
    return max(5, math.floor(room * 0.45)) if room >= 9 else 0


def _first(at: int, count: int, page: int) -> int:
    """The first row shown: the chosen one is in the middle, where it can be."""
    return max(0, min(at - page // 2, count - page))


def _exactly(lines: Sequence[Line], height: int) -> list[Line]:
    return [*lines, *[()] * (height - len(lines))][: max(0, height)]


def _trouble(scene: Scene, columns: int) -> Line:
    said = f"  {scene.trouble}; trying again"
    return ends([Span("runtime gone", "alarm"), Span(said)], [Span(f"  {scene.silent:.0f}s", "bold")], columns)


def _foot(scene: Scene, count: int, columns: int) -> Line:
    view = scene.view
    if view.typing:
        return cut([Span("/", "title"), Span(view.filter), Span("_", "accent")], columns)
    keys = (("q", "quit"), ("?", "help"), ("/", "filter"), ("c m n r a", "sort"), ("space", "fold"), ("i", "details"))
    line = list[Span]()
    for key, word in keys:
        line += [Span(key, "bold"), Span(f" {word}   ", "dim")]
    right = [Span(f"filter {view.filter!r}", "warn")] if view.filter else []
    return ends(line, right, columns)


_KEYS = (
    ("up down  j k", "choose a pod or container; also Page Up, Page Down, Home, End"),
    ("enter space", "fold a pod or open it; - and + fold and open all"),
    ("i tab", "details of what is chosen: events, and the end of its log"),
    ("/", "show only names with what is typed in them; Esc takes it back"),
    ("c m n d", "sort by CPU, memory, network, disk; twice: the other way round"),
    ("r a p", "sort by restarts, age, name"),
    ("q", "quit"),
)


def _help(frame: Frame, columns: int, glyphs: Glyphs) -> list[Line]:
    lines: list[Line] = [[Span("Keys", "title")]]
    lines += [[Span(f"  {keys:<14}", "bold"), Span(words)] for keys, words in _KEYS]
    lines += [
        (),
        [Span("What the columns say", "title")],
        [Span("  CPU%          ", "bold"), Span("percent of one CPU; yellow from 70% of its limit, red from 90%")],
        [Span("  MEMORY USED   ", "bold"), Span("what cannot be given back at once, and its share of the limit")],
        [Span("  RX/s TX/s     ", "bold"), Span("bytes that the pod receives and sends each second")],
        [Span("  DISK          ", "bold"), Span("the writable layers of its containers")],
        [
            Span("  RST           ", "bold"),
            Span("restarts: the attempt that the container is in; of a pod all together"),
        ],
        [Span("  LAST MINUTE   ", "bold"), Span("CPU up to the pod's limit; without one up to its own peak")],
        (),
        [Span(f"  {frame.runtime}  {frame.endpoint}  measured in {frame.took * 1000:.0f} ms", "dim")],
    ]
    return [cut(line, columns) for line in lines]
