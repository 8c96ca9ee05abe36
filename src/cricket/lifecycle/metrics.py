"""The engine's metrics: what there is, what is under way, what pulls came to."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections import Counter
from collections.abc import Mapping

from cricket.images.pull import PullOutcome
from cricket.lifecycle.image_service import NativeImages
from cricket.lifecycle.parts import Parts
from cricket.types.metrics import REGISTRY

Labels = tuple[str, ...]
_pulls = REGISTRY.counter("cricket_image_pulls_total", "Pulls by outcome.", ("outcome",))
_bytes = REGISTRY.counter("cricket_image_pull_bytes_total", "Bytes of layers downloaded.")
_seconds = REGISTRY.histogram("cricket_image_pull_seconds", "Duration of pulls.", ("outcome",))


def pulled(outcome: PullOutcome) -> None:
    """Count a pull that has ended; the outcome is "ok" or the kind of its error."""
    kind = "ok" if outcome.error is None else type(outcome.error).__name__
    _pulls.inc(kind)
    _bytes.inc(by=float(outcome.downloaded))
    _seconds.observe(outcome.seconds, kind)


def register(e: Parts, images: NativeImages) -> None:
    """Gauges that are read when somebody asks; nothing is counted at rest."""

    def sandboxes() -> Mapping[Labels, float]:
        return {(str(k),): float(v) for k, v in Counter(b.state for b in e.store.sandboxes.values()).items()}

    def containers() -> Mapping[Labels, float]:
        return {(str(k),): float(v) for k, v in Counter(c.state for c in e.store.containers.values()).items()}

    gauge = REGISTRY.gauge
    gauge("cricket_sandboxes", "Pod sandboxes by state.", sandboxes, ("state",))
    gauge("cricket_containers", "Containers by state.", containers, ("state",))
    gauge("cricket_warm_sandboxes", "Warm sandboxes that are ready.", lambda: float(e.warm.ready))
    gauge("cricket_images", "Images.", lambda: float(len(images.list())))
    gauge("cricket_image_pulls_running", "Pulls under way.", lambda: float(len(images.pulls.active())))
    gauge("cricket_tasks", "Tasks of the event loop.", lambda: float(len(asyncio.all_tasks())))
    gauge("cricket_open_files", "Open file descriptors of the daemon.", _open_files)
    gauge("cricket_resident_bytes", "Resident memory of the daemon.", _resident)
    gauge("cricket_network_ready", "1 when pods can get a network.", lambda: float(e.network.condition().status))


def _open_files() -> float:
    with contextlib.suppress(OSError):
        return float(len(os.listdir("/proc/self/fd")))
    return 0.0


def _resident() -> float:
    with contextlib.suppress(OSError), open("/proc/self/statm") as f:
        return float(int(f.read().split()[1]) * os.sysconf("SC_PAGE_SIZE"))
    return 0.0
