"""Pods of the node agent for people: the table and the page that kubectl users know."""

from __future__ import annotations

import calendar
import time
from collections.abc import Iterable
from typing import Any

from cricket.cli.output import Styled, print_table
from cricket.cli.podcolumns import columns
from cricket.cli.words import span

Json = dict[str, Any]


def table(pods: Iterable[Json], *, wide: bool = False) -> None:
    """One line for each pod; `wide`: with its host, class, containers and images."""
    header = ("NAMESPACE", "NAME", "READY", "STATUS", "RESTARTS", "AGE", "IP")
    if wide:
        more = ("HOST IP", "QOS", "CONTAINERS", "IMAGES")
        print_table((*header, *more), [(*_row(pod), *_more(pod)) for pod in pods])
    else:
        print_table(header, [_row(pod) for pod in pods])


def _more(pod: Json) -> tuple[str, ...]:
    containers = pod["spec"]["containers"]
    return (
        pod["status"].get("hostIP", "-"),
        pod["status"].get("qosClass", "-"),
        ",".join(container["name"] for container in containers),
        ",".join(container.get("image", "-") for container in containers),
    )


def _row(pod: Json) -> tuple[str, ...]:
    status, meta, shown = pod["status"], pod["metadata"], columns(pod)
    restarts = str(shown.restarts)
    if shown.restarts and shown.last_restart:
        restarts += f" ({age(shown.last_restart)} ago)"
    return (
        meta["namespace"],
        meta["name"],
        shown.ready,
        _coloured(shown.status),
        restarts,
        age(status.get("startTime")),
        status.get("podIP", "-"),
    )


def _coloured(word: str) -> str:
    if word in ("Running", "Completed", "Succeeded"):
        return Styled(word, "green")
    calm = ("Pending", "ContainerCreating", "PodInitializing", "Terminating")
    return Styled(word, "yellow" if word in calm or word.startswith("Init:") else "red")


def age(moment: str | None) -> str:
    """The time since a moment in Kubernetes' form."""
    if not moment:
        return "-"
    return span(time.time() - calendar.timegm(time.strptime(moment, "%Y-%m-%dT%H:%M:%SZ")))


def describe(pod: Json, events: Iterable[Json]) -> None:
    """The page about one pod."""
    status, meta = pod["status"], pod["metadata"]
    _pair("Name", meta["name"])
    _pair("Namespace", meta["namespace"])
    _pair("Start Time", status.get("startTime") or "-")
    for number, (key, value) in enumerate(sorted(meta.get("labels", {}).items())):
        _pair("Labels" if number == 0 else "", f"{key}={value}")
    _pair("Status", f"{status['phase']}  ({columns(pod).status})")
    for key in ("reason", "message"):
        if status.get(key):
            _pair(key.capitalize(), status[key])
    _pair("IP", status.get("podIP", "-"))
    _pair("QoS Class", status.get("qosClass", "-"))
    for title, key, specs in (
        ("Init Containers", "initContainerStatuses", pod["spec"].get("initContainers", ())),
        ("Containers", "containerStatuses", pod["spec"]["containers"]),
    ):
        if status.get(key):
            print(f"{title}:")
            for container, spec in zip(status[key], specs, strict=False):
                _container(container, spec)
    print("Conditions:")
    for condition in status.get("conditions", ()):
        why = "  ".join(condition[key] for key in ("reason", "message") if condition.get(key))
        print(f"  {condition['type']:<26}{condition['status']:<7}{why}".rstrip())
    _events(list(events))


def _container(status: Json, spec: Json) -> None:
    print(f"  {status['name']}:")
    _pair("Container ID", status.get("containerID", "-"), 4)
    _pair("Image", spec.get("image", "-"), 4)
    for title, key in (("State", "state"), ("Last State", "lastState")):
        for kind, said in status.get(key, {}).items():
            _pair(title, kind.capitalize(), 4)
            for field in ("reason", "message", "exitCode", "startedAt", "finishedAt"):
                if said.get(field) is not None:
                    _pair(_WORDS[field], str(said[field]).strip(), 6)
    _pair("Ready", str(status["ready"]), 4)
    _pair("Restart Count", str(status["restartCount"]), 4)


_WORDS = {
    "reason": "Reason",
    "message": "Message",
    "exitCode": "Exit Code",
    "startedAt": "Started",
    "finishedAt": "Finished",
}


def _pair(name: str, value: str, indent: int = 0) -> None:
    label = f"{name}:" if name else ""
    print(f"{' ' * indent}{label:<{20 - indent}}{value}")


def _events(events: list[Json]) -> None:
    if not events:
        print("Events:             <none>")
        return
    print("Events:")
    rows = []
    for event in events:
        times = f" (x{event['count']} over {age(event['firstTimestamp'])})" if event["count"] > 1 else ""
        kind = Styled(event["type"], "yellow") if event["type"] == "Warning" else event["type"]
        rows.append((kind, event["reason"], f"{age(event['lastTimestamp'])}{times}", event["message"]))
    print_table(("TYPE", "REASON", "AGE", "MESSAGE"), rows)
