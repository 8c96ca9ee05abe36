"""The pane about the chosen pod or container: what it is, what happened to it, what it wrote last."""

from __future__ import annotations

import time
from collections.abc import Sequence

from cricket.cli.top.columns import percent
from cricket.cli.top.glyphs import Glyphs
from cricket.cli.top.model import LogText, Moment
from cricket.cli.top.text import Line, Span, clean, clip, cut, filled, width
from cricket.cli.top.view import Row
from cricket.cli.words import age, memory, short, size

_BESIDE = 110
"""Columns from which on events and log stand beside each other."""


def details(row: Row, logs: Sequence[LogText], columns: int, height: int, glyphs: Glyphs, now: int) -> list[Line]:
    """The pane, of exactly `height` lines (at least 3). `logs`: oldest first. `now` in Unix nanoseconds."""
    lines: list[Line] = [_border(row, columns, glyphs), _facts(row, columns)]
    room = height - len(lines)
    if columns >= _BESIDE:
        left = min(52, columns // 3)
        events = _events(row, room, left - 2, now)
        written = _log(row, logs, room, columns - left)
        for number in range(room):
            event = events[number] if number < len(events) else ()
            said = written[number] if number < len(written) else ()
            lines.append([*filled(event, left), *said])
        return lines
    events = _events(row, max(1, room // 3, room - max(1, len(logs))), columns, now)
    lines += events + _log(row, logs, room - len(events), columns)
    return (lines + [()] * height)[:height]


def _border(row: Row, columns: int, glyphs: Glyphs) -> Line:
    item = row.container or row.pod
    name = f"{row.pod.key}/{row.container.name}" if row.container else row.pod.key
    begin = [Span(glyphs.rule * 2 + " ", "dim"), Span(clean(name), "title"), Span(f" {short(item.id)} ", "dim")]
    rest = columns - sum(width(span.text) for span in begin)
    return cut([*begin, Span(glyphs.rule * max(0, rest), "dim")], columns)


def _facts(row: Row, columns: int) -> Line:
    item, usage = row.container or row.pod, (row.container or row.pod).usage
    line = [Span(item.state, item.mood)]
    pairs = [("attempt", str(item.attempt))]
    if row.container is not None:
        pairs.append(("image", row.container.image))
    else:
        pairs.append(("runtime", row.pod.handler or "default"))
    if usage.cpu is not None:
        pairs.append(("CPU", percent(usage.cpu) + "%" + (f" of {usage.cpu_limit:g}%" if usage.cpu_limit else "")))
    if usage.memory is not None:
        of = f" of {memory(usage.memory_limit)}" if usage.memory_limit else ""
        pairs.append(("memory", memory(usage.memory) + of))
    if usage.disk is not None:
        pairs.append(("disk", f"{size(usage.disk)} in {usage.inodes or 0} files"))
    for name, value in pairs:
        line += [Span(f"  {name} ", "dim"), Span(clean(value))]
    return cut(line, columns)


def _events(row: Row, most: int, columns: int, now: int) -> list[Line]:
    """The newest events, newest last."""
    moments = (row.container or row.pod).moments[-most:]
    return [_event(moment, columns, now) for moment in moments]


def _event(moment: Moment, columns: int, now: int) -> Line:
    return cut([Span(f"{age(moment.time, now):>4} ago  ", "dim"), Span(clean(moment.text), moment.mood)], columns)


def _log(row: Row, logs: Sequence[LogText], most: int, columns: int) -> list[Line]:
    """The newest lines; those of a pod begin with the container's name."""
    if not logs and most > 0:
        return [[Span("nothing written", "dim")]]
    return [_written(line, row.container is None, columns) for line in logs[-most:]] if most > 0 else []


def _written(line: LogText, named: bool, columns: int) -> Line:
    clock = time.strftime("%H:%M:%S ", time.localtime(line.time / 1e9)) if line.time else ""
    begin = [Span(clock, "dim"), Span(f"{line.container} " if named else "", "accent")]
    room = columns - sum(width(span.text) for span in begin)
    return [*begin, Span(clip(clean(line.text), room), "warn" if line.stream == "stderr" else "")]
