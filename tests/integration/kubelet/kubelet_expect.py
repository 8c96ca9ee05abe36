"""The comments at the top of tests/manifests: what has to be seen of a manifest's pods."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, NamedTuple

from kubelet_agent import AgentProcess

FOLDER = Path(__file__).parents[2] / "manifests"
Json = dict[str, Any]


class Expectation(NamedTuple):
    """`# expect: POD FIELD OPERATOR VALUE`."""

    pod: str
    field: str
    operator: str
    value: str

    def met(self, agent: AgentProcess, pods: dict[str, Json]) -> bool:
        """Whether it is so now."""
        found = self.found(agent, pods)
        if self.operator == "is":
            return found == self.value
        if self.operator == "least":
            return found.isdecimal() and int(found) >= int(self.value)
        return (self.value in found) is (self.operator == "has")

    def found(self, agent: AgentProcess, pods: dict[str, Json]) -> str:
        """What is there, as text."""
        pod = pods.get(self.pod)
        if pod is None:
            return "(no pod)"
        status = pod["status"]
        if "." not in self.field:
            return _of_pod(status, self.field)
        name, field = self.field.rsplit(".", 1)
        if field == "log":
            return " ".join(agent.output(name, self.pod).split()).strip()
        statuses = [*status.get("initContainerStatuses", ()), *status.get("containerStatuses", ())]
        found = [container for container in statuses if container["name"] == name]
        return _of_container(found[0], field) if found else "(no status yet)"


def _of_pod(status: Json, field: str) -> str:
    if field == "ready":
        return _bool(any(c["type"] == "Ready" and c["status"] == "True" for c in status.get("conditions", ())))
    return str(status.get({"qos": "qosClass", "ip": "podIP"}.get(field, field), ""))


def _of_container(status: Json, field: str) -> str:
    if field == "state":
        return next(iter(status["state"]))
    if field == "ready":
        return _bool(status["ready"])
    if field == "restarts":
        return str(status["restartCount"])
    state = next(iter((status["lastState"] if field == "lastReason" else status["state"]).values()), {})
    return str(state.get({"lastReason": "reason"}.get(field, field), ""))


def _bool(value: object) -> str:
    return "true" if value else "false"


def expectations(path: Path) -> list[Expectation]:
    """All of a manifest's."""
    lines = re.findall(r"^# expect: (\S+) (\S+) (\S+) ?(.*)$", path.read_text(), re.M)
    return [Expectation(*line) for line in lines]


def needs(path: Path) -> list[str]:
    """The features that a manifest needs."""
    found = re.search(r"^# needs: (.*)$", path.read_text(), re.M)
    return found.group(1).replace(",", " ").split() if found else []


def stops(path: Path) -> list[tuple[str, str, float]]:
    """`# stops: POD least|within SECONDS`: how long a pod of a manifest that is removed takes to end."""
    found = re.findall(r"^# stops: (\S+) (least|within) (\d+)$", path.read_text(), re.M)
    return [(pod, operator, float(seconds)) for pod, operator, seconds in found]
