"""Frames for what is no screen: text one below the other, or JSON for programs."""

from __future__ import annotations

from typing import Any

import msgspec

from cricket.cli.top import columns as table
from cricket.cli.top.glyphs import Glyphs
from cricket.cli.top.header import header
from cricket.cli.top.model import Container, Frame, Pod, Usage
from cricket.cli.top.text import plain
from cricket.cli.top.view import View, rows


def text(frame: Frame, view: View, columns: int, glyphs: Glyphs, interval: float) -> str:
    """The picture with all rows, without colours."""
    shown = rows(frame, view)
    widths, gap = table.layout(columns, table.longest(shown))
    widths.pop("minute", None)  # a line that nobody sees moving
    lines = [*header(frame, columns, glyphs, rows=24, interval=interval), (), table.head(widths, gap, view, glyphs)]
    lines += [table.line(row, widths, gap, view, glyphs, frame.time) for row in shown]
    return "".join(f"{plain(line)}\n" for line in lines)


def document(frame: Frame, view: View) -> dict[str, Any]:
    """The frame as values of JSON, pods in the order of the view; what the runtime does not tell is null."""
    node = frame.node
    pods = dict[str, dict[str, Any]]()
    for row in rows(frame, msgspec.structs.replace(view, folded=frozenset())):
        if row.container is None:
            pods[row.pod.id] = _pod(row.pod)
        else:
            pods[row.pod.id]["containers"].append(_container(row.container))
    return {
        "time": frame.time,
        "runtime": frame.runtime,
        "endpoint": frame.endpoint,
        "node": {
            "name": node.name,
            "cpuPercent": _rounded(node.cpu),
            "cpus": [_rounded(percent) for percent in node.cpus],
            "load": list(node.load),
            "memoryBytes": node.memory,
            "memoryTotalBytes": node.memory_total,
            "uptimeSeconds": node.uptime,
        },
        "pods": list(pods.values()),
    }


def _pod(pod: Pod) -> dict[str, Any]:
    usage = pod.usage
    return {
        "id": pod.id,
        "namespace": pod.namespace,
        "name": pod.name,
        "state": pod.state,
        "attempt": pod.attempt,
        "restarts": pod.restarts,
        "createdAt": pod.since,
        **_usage(usage),
        "receivedBytesPerSecond": _rounded(usage.received),
        "sentBytesPerSecond": _rounded(usage.sent),
        "processes": usage.processes,
        "containers": [],
    }


def _container(container: Container) -> dict[str, Any]:
    return {
        "id": container.id,
        "name": container.name,
        "state": container.state,
        "attempt": container.attempt,
        "startedAt": container.since,
        "image": container.image,
        **_usage(container.usage),
    }


def _usage(usage: Usage) -> dict[str, Any]:
    return {
        "cpuPercent": _rounded(usage.cpu),
        "cpuLimitPercent": usage.cpu_limit or None,
        "memoryBytes": usage.memory,
        "memoryLimitBytes": usage.memory_limit or None,
        "diskBytes": usage.disk,
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 2)
