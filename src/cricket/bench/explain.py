"""The waterfall of one pod: every RPC with its stages, the processes that it cost and the bytes that were written.

The stages are the daemon's own words (`cricket why`), so this works with Cricket only.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
import time
from typing import Any

import msgspec

from cricket.bench import drawing, image
from cricket.bench.drawing import ticks
from cricket.bench.pods import Pods
from cricket.bench.target import IMAGE, cricket
from cricket.bench.usage import processes
from cricket.client.connection import Client

_WIDTH = 48
_TOP, _LEFT, _LENGTH, _STEP = 62, 256, 500, 19
"""Of the picture, in pixels."""


class Bar(msgspec.Struct, frozen=True):
    """A step: milliseconds since the pod's first call; `depth` 0 is an RPC. Processes and bytes are of RPCs only."""

    name: str
    began: float
    took: float
    depth: int
    processes: int = 0
    written: int = 0


class _Recorder(Client):
    """A client that notes what each call cost the machine."""

    def __init__(self, url: str, pattern: str) -> None:
        super().__init__(url)
        self.pattern = pattern
        self.costs: list[tuple[str, float, float, int, int]] = []
        self._looking = 0.0

    def call(self, name: str, /, **fields: Any) -> Any:
        before = time.perf_counter()
        forks, written, began = _forks(), _written(self.pattern), time.perf_counter()
        answer = super().call(name, **fields)
        ended = time.perf_counter()
        # The time that it takes to look at the processes belongs to no call, and would part them.
        self._looking += began - before
        moment = began - self._looking
        self.costs.append((name, moment, ended - began, _forks() - forks, _written(self.pattern) - written))
        self._looking += time.perf_counter() - ended
        return answer


def waterfall(handler: str, warm: int = 0) -> list[Bar]:
    """Start and stop pods on a Cricket of our own until caches are warm; the bars of the last one. Needs root.

    `warm` is how many warm sandboxes it keeps.
    """
    with tempfile.TemporaryDirectory(prefix="cricket-explain-", ignore_cleanup_errors=True) as base:
        os.chmod(base, 0o711)
        image.build(f"{base}/image", (IMAGE,))
        with cricket(f"{base}/c", handler, warm=warm) as target:
            for _ in range(3):
                recorder = _Recorder(target.endpoint, target.pattern)
                with recorder:
                    pods = Pods(recorder, base)
                    pods.start(1, 1)
                    pods.stop(1)
            costs = recorder.costs
            with Client(target.endpoint) as client:
                # What the daemon does in the background is told among the calls.
                called = {name for name, *_ in costs}
                told = [o for o in client.call("Why", finished=True).operations if o.method in called]
                operations = told[-len(costs) :]
    return _bars(costs, operations)


def _bars(costs: list[tuple[str, float, float, int, int]], operations: list[Any]) -> list[Bar]:
    """Calls with the stages of the operation of the same name, both in order of time."""
    bars, origin = [], costs[0][1]
    for name, began, took, forks, written in costs:
        start = (began - origin) * 1000
        bars.append(Bar(name, start, took * 1000, 0, forks, written))
        found = next((o for o in operations if o.method == name), None)
        if found is not None:
            operations.remove(found)
            bars += [Bar(s.name, start + s.began * 1000, s.took * 1000, s.depth + 1) for s in found.stages]
    return bars


def text(bars: list[Bar], *, colours: bool = False) -> str:
    """The waterfall as text: a bar for each step on a common time axis; with `colours` for a terminal."""
    end = max(bar.began + bar.took for bar in bars)
    lines = [f"{'step':<44} {'at ms':>8} {'took ms':>8} {'procs':>6} {'KiB':>6}"]
    for bar in bars:
        left = round(bar.began / end * _WIDTH)
        length = max(1, round(bar.took / end * _WIDTH))
        cost = f"{bar.processes:>6} {bar.written / 1024:>6.0f}" if bar.depth == 0 else " " * 13
        mark = "█" if bar.depth == 0 else "▒"
        label = "  " * bar.depth + bar.name
        look, end_look = (("\x1b[1m", "\x1b[0m") if bar.depth == 0 else ("", "")) if colours else ("", "")
        drawn = f"\x1b[{'32' if bar.depth == 0 else '36'}m{mark * length}\x1b[0m" if colours else mark * length
        figures = f"{bar.began:>8.1f} {bar.took:>8.1f} {cost}"
        lines.append(f"{look}{label[:44]:<44}{end_look} {figures}  {' ' * left}{drawn}")
    return "\n".join(lines) + "\n"


def svg(bars: list[Bar]) -> str:
    """The waterfall as a picture: calls and their stages on one axis of time."""
    end = max(bar.began + bar.took for bar in bars) or 1.0
    parts, bottom = [], _TOP + _STEP * len(bars)
    for value in ticks(end, 8):
        x = _LEFT + value / end * _LENGTH
        parts.append(f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP - 6}" y2="{bottom}"/>')
        parts.append(drawing.text(x, _TOP - 10, f"{value:g} ms", "dim", "middle"))
    for at, bar in enumerate(bars):
        parts += _row(bar, _TOP + at * _STEP, end)
    return drawing.document("One pod, from RunPodSandbox to RemovePodSandbox", bottom + 12, parts)


def _row(bar: Bar, y: float, end: float) -> list[str]:
    """A step's name, its bar, and beside the bar, where there is room, how long it took and what it cost."""
    x, length = _LEFT + bar.began / end * _LENGTH, max(1.5, bar.took / end * _LENGTH)
    indent, call = 16 + 14 * bar.depth, bar.depth == 0
    name = drawing.clipped(bar.name, _LEFT - indent - 8)
    cost = f"{bar.took:.1f} ms"
    if call and (bar.processes or bar.written):
        cost += f", {bar.processes} process{'es' * (bar.processes != 1)}, {bar.written / 1024:.0f} KiB"
    parts = [drawing.text(indent, y + 12, name, "strong" if call else "")]
    parts.append(drawing.rectangle(x, y + 1, length, _STEP - 5, "c0" if call else "part"))
    if x + length + 6 + drawing.text_width(cost) < drawing.WIDTH - 8:
        parts.append(drawing.text(x + length + 6, y + 12, cost, "dim"))
    else:
        parts.append(drawing.text(x - 6, y + 12, cost, "dim", "end"))
    return parts


def _forks() -> int:
    """Processes and threads that the machine has made since boot."""
    with open("/proc/stat") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("processes"))


def _written(pattern: str) -> int:
    """Bytes that the daemon and its monitors have written by write(2)."""
    total = 0
    for pid in processes(pattern):
        with contextlib.suppress(OSError), open(f"/proc/{pid}/io") as f:
            total += sum(int(line.split()[1]) for line in f if line.startswith("wchar"))
    return total
