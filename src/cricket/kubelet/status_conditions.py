"""The conditions of a pod, in the kubelet's words (status/generate.go)."""

from __future__ import annotations

from typing import Any

from cricket.kubelet.actions import Situation
from cricket.kubelet.sizes import sizes

Json = dict[str, Any]


def conditions(
    s: Situation,
    phase: str,
    inits: list[Json],
    mains: list[Json],
    moment: str | None,
    before: Json | None,
    resize_error: str = "",
) -> list[Json]:
    """PodReadyToStartContainers, Initialized, Ready, ContainersReady, PodScheduled; PodResizeInProgress while it is."""
    boxes = s.records.sandboxes
    ready = _ready(s, phase, inits, mains)
    found = [
        _condition("PodReadyToStartContainers", bool(boxes) and boxes[0].ready),
        _initialized(s, phase, inits, mains),
        {"type": "Ready", **ready},
        {"type": "ContainersReady", **ready},
        _condition("PodScheduled", True),
        *_resize(s, phase, resize_error),
    ]
    old = {condition["type"]: condition for condition in (before or {}).get("conditions", [])}
    for condition in found:
        same = old.get(condition["type"])
        kept = same is not None and same["status"] == condition["status"]
        condition["lastTransitionTime"] = same["lastTransitionTime"] if kept and same is not None else moment
    return found


def _ready(s: Situation, phase: str, inits: list[Json], mains: list[Json]) -> Json:
    if phase in ("Succeeded", "Failed"):
        return {"status": "False", "reason": "PodCompleted" if phase == "Succeeded" else "PodFailed"}
    sidecars = {container.name for container in s.pod.spec.init_containers if container.sidecar}
    statuses = [status for status in inits if status["name"] in sidecars] + mains
    unready = [status["name"] for status in statuses if not status["ready"]]
    if unready:
        message = f"containers with unready status: [{' '.join(unready)}]"
        return {"status": "False", "reason": "ContainersNotReady", "message": message}
    return {"status": "True"}


def _initialized(s: Situation, phase: str, inits: list[Json], mains: list[Json]) -> Json:
    if phase == "Succeeded":
        return {**_condition("Initialized", True), "reason": "PodCompleted"}
    if any("running" in status["state"] or status.get("containerID") for status in mains):
        return _condition("Initialized", True)
    specs = s.pod.spec.init_containers
    incomplete = [
        status["name"]
        for container, status in zip(specs, inits, strict=True)
        if not (status["started"] if container.sidecar else status["ready"])
    ]
    if not incomplete:
        return _condition("Initialized", True)
    message = f"containers with incomplete status: [{' '.join(incomplete)}]"
    return {**_condition("Initialized", False), "reason": "ContainersNotInitialized", "message": message}


def _resize(s: Situation, phase: str, error: str) -> list[Json]:
    if phase in ("Succeeded", "Failed") or s.settled is None or sizes(s.settled) == sizes(s.pod):
        return []
    why = {"reason": "Error", "message": error} if error else {}
    return [{**_condition("PodResizeInProgress", True), **why}]


def _condition(kind: str, true: bool) -> Json:
    return {"type": kind, "status": "True" if true else "False"}
