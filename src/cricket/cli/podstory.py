"""What `cricket run` tells beside the logs: pulls, readiness and addresses, warnings, the end."""

from __future__ import annotations

import re
from typing import Any

from cricket.cli.podpulls import Pulls
from cricket.cli.podscreen import LiveView
from cricket.cli.words import size
from cricket.kubelet.agent import Agent
from cricket.kubelet.events import Event
from cricket.kubelet.worker import PodWorker

_AGAIN = (1, 5, 25)
"""What happens again and again is told so many times, and then every hundredth."""


class Story:
    """`event` is told each event; `look` finds out what has become of the pods."""

    def __init__(self, agent: Agent, view: LiveView, pulls: Pulls, *, everything: bool) -> None:
        self._agent, self._view, self._pulls, self._everything = agent, view, pulls, everything
        self._ready: dict[str, bool] = {}
        self._ended = set[str]()

    def event(self, event: Event) -> None:
        """Warnings say why nothing moves; of the rest only pulls are of interest, unless everything is wanted."""
        image = re.search(r'image "([^"]+)"', event.message)
        if image and event.reason == "Pulling":
            self._pulls.begin(image[1])
        elif image and event.reason in ("Pulled", "Failed"):
            self._pulls.end(image[1])
        container = event.field.partition("{")[2].rstrip("}")
        if event.type == "Warning":
            self._warn(event, container)
        elif self._everything:
            self._view.say(f"{event.reason}: {event.message.strip()}", container)
        elif event.reason in ("Pulling", "Pulled"):
            self._pull(event)

    def _warn(self, event: Event, container: str) -> None:
        if event.count in _AGAIN or event.count % 100 == 0:
            times = f" (x{event.count})" if event.count > 1 else ""
            self._view.say(f"{event.reason}: {event.message.strip()}{times}", container, colour="yellow")

    def _pull(self, event: Event) -> None:
        """An image that is there already is not worth a line."""
        if event.reason == "Pulling":
            self._view.say(event.message.replace("Pulling image ", "pulling ").replace('"', ""))
            return
        done = re.search(r'pulled image "([^"]+)" in (\S+) .*size: (\d+) bytes', event.message)
        if done:
            self._view.say(f"pulled {done[1]} in {done[2]} ({size(int(done[3]))})")

    def look(self) -> None:
        """Tell of pods that have become ready, or are no longer, and of those that have ended."""
        for key, worker in self._agent.workers.items():
            status, name = worker.status, worker.pod.key
            ready = any(c["type"] == "Ready" and c["status"] == "True" for c in status.get("conditions", ()))
            over = status["phase"] in ("Succeeded", "Failed")
            if over and key not in self._ended:
                self._ended.add(key)
                colour = "green" if status["phase"] == "Succeeded" else "red"
                self._view.say(f"{name} has {status['phase'].lower()}{_why(status)}", colour=colour)
            elif not over and not worker.ending and ready != self._ready.get(key, False):
                self._turn(key, worker, ready)

    def _turn(self, key: str, worker: PodWorker, ready: bool) -> None:
        if not ready:
            self._view.say(f"{worker.pod.key} is not ready any more")
        else:
            hint = "" if self._ready or not self._view.live else " (Ctrl-C stops it)"
            self._view.say(f"{worker.pod.key} is ready{_where(worker)}{hint}", colour="green")
        self._ready[key] = ready


def _where(worker: PodWorker) -> str:
    """The pod's address with the ports that its containers name."""
    address = worker.status.get("podIP", "")
    ports = [port for container in worker.pod.spec.containers for port in container.ports]
    if not address:
        return ""
    host = f"[{address}]" if ":" in address else address
    named = ", ".join(f"port {port.name} " * bool(port.name) + f"at {host}:{port.container_port}" for port in ports)
    return f", {named}" if named else f" at {address}"


def _why(status: dict[str, Any]) -> str:
    """The container that made the pod fail."""
    if status.get("reason"):
        return f": {status['reason']}" + (f", {status['message']}" if status.get("message") else "")
    for container in (*status.get("initContainerStatuses", ()), *status.get("containerStatuses", ())):
        ended = container["state"].get("terminated") or {}
        if ended.get("exitCode"):
            return f": {container['name']} ended with {ended['exitCode']} ({ended.get('reason', 'Error')})"
    return ""
