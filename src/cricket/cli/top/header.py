"""The head of the screen: the node's CPUs and memory, and how many pods and containers there are."""

from __future__ import annotations

import time
from collections import Counter

from cricket.cli.top.glyphs import Glyphs, bar, level, mood, sparkline
from cricket.cli.top.model import Frame
from cricket.cli.top.text import Line, Span, cut, ends, line_width, width
from cricket.cli.words import memory, size, span

_SECOND = 1_000_000_000
_LABEL = 9
_CORE = 18
"""Columns of one CPU's own bar."""


def header(frame: Frame, columns: int, glyphs: Glyphs, *, rows: int, interval: float) -> list[Line]:
    """The lines of the head: fewer when the screen has few `rows`. `interval` in seconds."""
    lines: list[Line] = [_title(frame, columns, interval, glyphs)]
    if rows >= 14:
        lines += [_cpu(frame, columns, glyphs)]
        if rows >= 20:
            lines += [_cores(frame, columns, glyphs)]
        lines += [_memory(frame, columns, glyphs)]
    return [*lines, _counts(frame, columns, glyphs)]


def _title(frame: Frame, columns: int, interval: float, glyphs: Glyphs) -> Line:
    dot = f" {glyphs.dot} "
    left = [Span("cricket top", "title"), Span(f"  {frame.node.name}{dot}{frame.runtime}")]
    left.append(Span(f"{dot}up {span(frame.node.uptime)}", "dim"))
    clock = time.strftime("%H:%M:%S", time.localtime(frame.time / _SECOND))
    return ends(left, [Span(f" every {interval:g}s  ", "dim"), Span(clock)], columns)


def _cpu(frame: Frame, columns: int, glyphs: Glyphs) -> Line:
    """A bar of all CPUs, and their last minute at the right."""
    node = frame.node
    load = " ".join(f"{value:.2f}" for value in node.load)
    count = len(node.cpus)
    right = [Span(f" {node.cpu:3.0f}%", mood(node.cpu / 100)), Span(f"  {count} CPU{'s' * (count != 1)}")]
    right.append(Span(f"  load {load}", "dim"))
    return _gauge("CPU", node.cpu / 100, right, columns, glyphs)


def _cores(frame: Frame, columns: int, glyphs: Glyphs) -> Line:
    """Each CPU: as a bar when all have room, else as a mark; the last minute in what is left."""
    cpus, room = frame.node.cpus, columns - _LABEL
    line = [Span(" " * _LABEL)]
    if len(cpus) * _CORE <= room:
        for number, percent in enumerate(cpus):
            line += [Span(f"{number} ", "dim"), *bar(percent / 100, _CORE - 9, glyphs), Span(f" {percent:3.0f}%  ")]
    else:
        for percent in cpus[:room]:
            line.append(Span(level(percent, 100, glyphs), mood(percent / 100)))
        line.append(Span("  "))
    left = columns - line_width(line) - 13
    if left >= 8:
        marks = sparkline(frame.node.history, min(left, 60), 100, glyphs)
        line += [Span("last minute ", "dim"), Span(marks, mood(frame.node.cpu / 100))]
    return cut(line, columns)


def _memory(frame: Frame, columns: int, glyphs: Glyphs) -> Line:
    node = frame.node
    share = node.memory / node.memory_total if node.memory_total else 0.0
    right = [Span(f" {share:4.0%}", mood(share)), Span(f"  {memory(node.memory)} of {memory(node.memory_total)}")]
    return _gauge("Memory", share, right, columns, glyphs)


def _gauge(name: str, share: float, right: Line, columns: int, glyphs: Glyphs) -> Line:
    """The bars of all gauges end in the same column, so that they can be compared."""
    room = max(10, min(60, columns - _LABEL - 36))
    return cut([Span(f"{name:<{_LABEL}}", "bold"), *bar(share, room, glyphs), *right], columns)


def _counts(frame: Frame, columns: int, glyphs: Glyphs) -> Line:
    pods = Counter(pod.state for pod in frame.pods)
    kinds = Counter[tuple[str, str]]()
    for pod in frame.pods:
        for container in pod.containers:
            word = "failed" if container.mood == "bad" else container.state.split()[0].lower()
            kinds[("exited" if word == "exit" else word), container.mood] += 1
    line = [Span("Pods     ", "bold"), Span(f"{pods['Ready']} ready", "good" if pods["Ready"] else "")]
    if pods["NotReady"]:
        line += [Span(f", {pods['NotReady']} not ready", "dim")]
    line += [Span("  Containers ", "bold")]
    words = [(f"{count} {word}", mood) for (word, mood), count in sorted(kinds.items(), key=_running_first)]
    for number, (text, style) in enumerate(words or [("none", "dim")]):
        line += [Span(", " if number else ""), Span(text, style)]
    restarts = str(sum(pod.restarts for pod in frame.pods))
    if restarts != "0" and line_width(line) + 11 + len(restarts) <= columns:
        line += [Span("  Restarts ", "bold"), Span(restarts, "warn")]
    return ends(line, _network(frame, glyphs, columns - line_width(line)), columns)


def _running_first(entry: tuple[tuple[str, str], int]) -> tuple[bool, str]:
    return entry[0][0] != "running", entry[0][0]


def _network(frame: Frame, glyphs: Glyphs, room: int) -> Line:
    """What all pods receive and send together."""
    received = [pod.usage.received for pod in frame.pods if pod.usage.received is not None]
    sent = [pod.usage.sent for pod in frame.pods if pod.usage.sent is not None]
    if not received:
        return ()
    text = f"{glyphs.down} {size(sum(received))}/s {glyphs.up} {size(sum(sent))}/s"
    return (Span("  Network ", "bold"), Span(text)) if width(text) + 10 <= room else ()
