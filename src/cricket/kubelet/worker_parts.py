"""What the workers of all pods share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import msgspec

from cricket.kubelet import backoff
from cricket.kubelet.cgroups.pods import PodCgroups
from cricket.kubelet.events import Events
from cricket.kubelet.loop_cri import Cri
from cricket.kubelet.loop_observe import Observer
from cricket.kubelet.model.objects import Objects
from cricket.kubelet.node import Node


class Settings(msgspec.Struct, frozen=True):
    """How the agent works. Seconds, bytes, per cent of the image disk. `pod_cgroups`: whether pods have cgroups of
    their own with limits, where that can be; `pod_pids`: processes in each, 0 for no limit."""

    name: str = "cricket"
    relist: float = 1.0
    limits: backoff.Limits = backoff.Limits()
    retry: float = 10.0
    minimum_grace: int = 2
    pod_cgroups: bool = True
    pod_pids: int = 0
    image_gc_high: int = 85
    image_gc_low: int = 80
    image_min_age: float = 120.0
    image_unused_age: float = 0.0
    gc_period: float = 60.0
    log_size: int = 10 << 20
    log_files: int = 5
    log_period: float = 10.0


class Parts:
    """One of each for the whole agent. `pulls` are the waits after failed pulls, by image; `probed`
    counts probes by kind, result, namespace, pod and container; `objects` is asked for each
    time, as it changes with the manifests."""

    def __init__(
        self,
        cri: Cri,
        observer: Observer,
        events: Events,
        node: Node,
        settings: Settings,
        objects: Callable[[], Objects],
        cgroups: PodCgroups | None = None,
    ) -> None:
        self.cri, self.observer, self.events = cri, observer, events
        self.node, self.settings, self.objects = node, settings, objects
        self.cgroups = cgroups
        self.probed = Counter[tuple[str, ...]]()
        self.pulls: dict[str, backoff.Entry] = {}
        self.pull_failed: dict[str, tuple[int, str]] = {}
        self.pulling: Callable[[str, bool], None] = lambda image, begins: None
