"""READY, STATUS and RESTARTS of a v1.Pod, as `kubectl get pods` computes them (printers/internalversion, printPod)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

Json = dict[str, Any]


class Columns(NamedTuple):
    """`last_restart` is when the container that restarted last had ended, in Kubernetes' form; "" for never."""

    ready: str
    status: str
    restarts: int
    last_restart: str


def columns(pod: Json) -> Columns:
    """The columns of a pod."""
    status, sidecars = pod["status"], _sidecars(pod)
    inits, mains = status.get("initContainerStatuses", []), status.get("containerStatuses", [])
    ready = sum(_ready(container) for container in mains)
    ready += sum(_ready(container) for container in _begun(inits, sidecars))
    word, restarted = _init_word(inits, sidecars, len(pod["spec"].get("initContainers", ()))), inits
    if not word or _condition(status, "Initialized"):
        restarted = [*(c for c in inits if c["name"] in sidecars), *mains]
        word = _word(status, word or status.get("reason") or status["phase"])
    if pod["metadata"].get("deletionTimestamp") and status["phase"] not in ("Succeeded", "Failed"):
        word = "Unknown" if status.get("reason") == "NodeLost" else "Terminating"
    return Columns(
        f"{ready}/{len(pod['spec']['containers']) + len(sidecars)}",
        word,
        sum(container["restartCount"] for container in restarted),
        max((ended for container in restarted if (ended := _last_end(container))), default=""),
    )


def _sidecars(pod: Json) -> set[str]:
    return {c["name"] for c in pod["spec"].get("initContainers", ()) if c.get("restartPolicy") == "Always"}


def _begun(inits: list[Json], sidecars: set[str]) -> Iterator[Json]:
    """The sidecars that have started, as far as initialization came."""
    for container in inits:
        ended = container["state"].get("terminated")
        if container["name"] in sidecars and container.get("started"):
            yield container
        elif ended is None or ended["exitCode"] != 0:
            return


def _init_word(inits: list[Json], sidecars: set[str], count: int) -> str:
    """What the first init container that holds up the others does; "" when none does."""
    for at, container in enumerate(inits):
        ended, waits = container["state"].get("terminated"), container["state"].get("waiting")
        if (ended and ended["exitCode"] == 0) or (container["name"] in sidecars and container.get("started")):
            continue
        if ended:
            return f"Init:{_end(ended)}"
        if waits and waits.get("reason", "") not in ("PodInitializing", ""):
            return f"Init:{waits['reason']}"
        return f"Init:{at}/{count}"
    return ""


def _word(status: Json, word: str) -> str:
    running, failed = False, ""
    for container in reversed(status.get("containerStatuses", [])):
        state = container["state"]
        if state.get("waiting", {}).get("reason"):
            word = state["waiting"]["reason"]
        elif ended := state.get("terminated"):
            word = _end(ended)
            failed = word if ended["exitCode"] else failed
        elif _ready(container):
            running = True
    if word != "Completed":
        return str(word)
    if running and _condition(status, "Ready"):
        return "Running"
    return failed or ("NotReady" if running else str(word))


def _end(ended: Json) -> str:
    if ended.get("reason"):
        return str(ended["reason"])
    return f"Signal:{ended['signal']}" if ended.get("signal") else f"ExitCode:{ended['exitCode']}"


def _ready(container: Json) -> bool:
    return bool(container["ready"]) and "running" in container["state"]


def _condition(status: Json, kind: str) -> bool:
    return any(c["type"] == kind and c["status"] == "True" for c in status.get("conditions", ()))


def _last_end(container: Json) -> str:
    return str((container.get("lastState", {}).get("terminated") or {}).get("finishedAt") or "")
