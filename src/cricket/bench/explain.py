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

from cricket.bench import image
from cricket.bench.pods import Pods
from cricket.bench.target import IMAGE, cricket
from cricket.bench.usage import processes
from cricket.client.connection import Client

_WIDTH = 48


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

    def call(self, name: str, /, **fields: Any) -> Any:
        forks, written, began = _forks(), _written(self.pattern), time.perf_counter()
        answer = super().call(name, **fields)
        took = time.perf_counter() - began
        self.costs.append((name, began, took, _forks() - forks, _written(self.pattern) - written))
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


def text(bars: list[Bar]) -> str:
    """The waterfall as text: a bar for each step on a common time axis."""
    end = max(bar.began + bar.took for bar in bars)
    lines = [f"{'step':<44} {'at ms':>8} {'took ms':>8} {'procs':>6} {'KiB':>6}"]
    for bar in bars:
        left = round(bar.began / end * _WIDTH)
        length = max(1, round(bar.took / end * _WIDTH))
        cost = f"{bar.processes:>6} {bar.written / 1024:>6.0f}" if bar.depth == 0 else " " * 13
        mark = "█" if bar.depth == 0 else "▒"
        label = "  " * bar.depth + bar.name
        lines.append(f"{label[:44]:<44} {bar.began:>8.1f} {bar.took:>8.1f} {cost}  {' ' * left}{mark * length}")
    return "\n".join(lines) + "\n"


def svg(bars: list[Bar]) -> str:
    """The waterfall as a picture."""
    end = max(bar.began + bar.took for bar in bars)
    left, width, step = 330, 620, 18
    height = 40 + step * len(bars)
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + width + 90}" height="{height}" '
        'font-family="sans-serif" font-size="12">',
        '<rect width="100%" height="100%" fill="white"/>',
        '<text x="12" y="20" font-size="15">One pod, from RunPodSandbox to RemovePodSandbox</text>',
    ]
    for number, bar in enumerate(bars):
        y = 36 + number * step
        x, length = left + bar.began / end * width, max(1.0, bar.took / end * width)
        fill, indent = ("#2f7d5b", 0) if bar.depth == 0 else ("#9cc7b2", 14 * bar.depth)
        out.append(f'<text x="{12 + indent}" y="{y + 11}">{bar.name.replace("&", "&amp;").replace("<", "&lt;")}</text>')
        out.append(f'<rect x="{x:.1f}" y="{y}" width="{length:.1f}" height="{step - 5}" fill="{fill}"/>')
        out.append(f'<text x="{x + length + 4:.1f}" y="{y + 11}">{bar.took:.1f} ms</text>')
    return "\n".join([*out, "</svg>\n"])


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
