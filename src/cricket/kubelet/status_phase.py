"""The phase of a pod, as the kubelet counts it (getPhase in kubelet_pods.go)."""

from __future__ import annotations

from typing import Any

from cricket.kubelet.actions_outcome import DEADLINE
from cricket.kubelet.model.pod import Pod

Json = dict[str, Any]


def phase(pod: Pod, inits: list[Json], mains: list[Json], ended: str) -> str:
    """Pending, Running, Succeeded or Failed, from container statuses in JSON."""
    if ended:
        return "Failed" if ended == DEADLINE else ended
    begun = any("running" in status["state"] or _died(status) for status in mains)
    for container, status in zip(pod.spec.init_containers, inits, strict=True):
        if container.sidecar:
            pending = not begun and not status["started"]
        else:
            pending = not begun and status["state"].get("terminated", {}).get("exitCode") != 0
        if pending:
            return "Pending"
    if any("waiting" in status["state"] and not _died(status) for status in mains):
        return "Pending"
    return "Running" if begun else "Pending"


def _died(status: Json) -> bool:
    """Whether it has run and ended, even if it waits now to be started again."""
    return "terminated" in status["state"] or "terminated" in status["lastState"]
