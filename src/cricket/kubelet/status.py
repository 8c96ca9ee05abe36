"""A pod's status as the API server would show it, as a function of the facts (kubelet_pods.go, status/generate.go).

The answer is the JSON of v1.PodStatus. `Shown` is what facts cannot tell: why a container waits.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import msgspec

from cricket.kubelet.actions import Situation
from cricket.kubelet.actions_outcome import DEADLINE, DEADLINE_WORDS, outcome
from cricket.kubelet.loop_records import SECOND, ContainerRecord, State
from cricket.kubelet.model.container import Container, ResourceRequirements
from cricket.kubelet.sizes import effective, whole
from cricket.kubelet.status_conditions import conditions
from cricket.kubelet.status_phase import phase

Json = dict[str, Any]


class Shown(msgspec.Struct, frozen=True):
    """Waiting reasons and messages by container, the last words of dead containers by id, the node's addresses, and why
    the last change of resources failed."""

    waiting: Mapping[str, tuple[str, str]] = {}
    messages: Mapping[str, str] = {}
    host_ips: tuple[str, ...] = ()
    resize_error: str = ""


def pod_status(s: Situation, shown: Shown, now: int, before: Json | None = None) -> Json:
    """The status at `now` (Unix ns). `before` is the last one: a condition that stays keeps its transition time."""
    ended = outcome(s.pod, s.records, s.started_at, now)
    if any(record.alive for record in s.records.containers):
        ended = ""  # a phase is final: it is told when nothing runs any more
    inits = [_container(s, shown, container, True, ended) for container in s.pod.spec.init_containers]
    mains = [_container(s, shown, container, False, ended) for container in s.pod.spec.containers]
    status: Json = {"phase": phase(s.pod, inits, mains, ended)}
    if ended == DEADLINE:
        status |= {"reason": DEADLINE, "message": DEADLINE_WORDS}
    box = s.records.sandboxes[0] if s.records.sandboxes else None
    ips = shown.host_ips if s.pod.spec.host_network else box.ips if box is not None and box.ready else ()
    status["conditions"] = conditions(s, status["phase"], inits, mains, moment(now), before, shown.resize_error)
    if shown.host_ips:
        status |= {"hostIP": shown.host_ips[0], "hostIPs": [{"ip": ip} for ip in shown.host_ips]}
    if ips:
        status |= {"podIP": ips[0], "podIPs": [{"ip": ip} for ip in ips]}
    if s.started_at:
        status["startTime"] = moment(s.started_at)
    if inits:
        status["initContainerStatuses"] = inits
    status |= {"containerStatuses": mains, "qosClass": _qos(s)}
    return status | _resources(whole(s.settled or s.pod))


def _qos(s: Situation) -> str:
    from cricket.kubelet.qos import qos_class

    return str(qos_class(s.pod))


def _container(s: Situation, shown: Shown, container: Container, init: bool, ended: str) -> Json:
    newest = s.records.latest(container.name)
    record = newest if newest is not None and newest.state is not State.CREATED else s.records.exited(container.name)
    health = s.healthy(record) if record is not None else None
    waits = shown.waiting.get(container.name)
    status: Json = {"name": container.name, "image": container.image, "imageID": "", "restartCount": 0}
    state, last = _state(s, shown, container, record, waits, ended)
    status |= {"state": state, "lastState": _terminated(shown, last) if last is not None else {}}
    running = record is not None and record.state is State.RUNNING
    started = running and health is not None and health.started
    if record is not None:
        status |= {
            "image": record.image or container.image,
            "imageID": record.image_id,
            "containerID": f"cri://{record.id}",
            "restartCount": max(r.attempt for r in s.records.of(container.name)),
        }
    done = record is not None and record.state is State.EXITED and record.exit_code == 0
    plain_init = init and not container.sidecar
    status["ready"] = done if plain_init else bool(started and health is not None and health.ready)
    status["started"] = running if plain_init else bool(started)
    if record is not None:
        status |= _resources(s.applied.get(record.id) or effective(s.pod, container))
    return status


def _resources(value: ResourceRequirements) -> Json:
    """What a container or pod has now; what is reserved for it stands apart."""
    reserved = {"allocatedResources": value.requests} if value.requests else {}
    return {**reserved, "resources": msgspec.to_builtins(value)}


def _state(
    s: Situation,
    shown: Shown,
    container: Container,
    record: ContainerRecord | None,
    waits: tuple[str, str] | None,
    ended: str,
) -> tuple[Json, ContainerRecord | None]:
    """(state, the record of lastState)."""
    dead = [r for r in s.records.of(container.name) if r.state is State.EXITED]
    if record is None or record.state is State.UNKNOWN:
        if waits is None:
            waits = ("PodInitializing" if s.pod.spec.init_containers else "ContainerCreating"), ""
        return _waiting(waits), None
    if record.state is State.RUNNING:
        return {"running": {"startedAt": moment(record.started_at)}}, (dead[0] if dead else None)
    if waits is not None and not ended:
        return _waiting(waits), record
    return _terminated(shown, record), (dead[1] if len(dead) > 1 else None)


def _waiting(why: tuple[str, str]) -> Json:
    return {"waiting": {"reason": why[0], **({"message": why[1]} if why[1] else {})}}


def _terminated(shown: Shown, record: ContainerRecord) -> Json:
    reason = record.reason or ("Completed" if record.exit_code == 0 else "Error")
    message = shown.messages.get(record.id) or record.message
    terminated: Json = {
        "exitCode": record.exit_code,
        "reason": reason,
        "startedAt": moment(record.started_at),
        "finishedAt": moment(record.finished_at),
        "containerID": f"cri://{record.id}",
    }
    if message:
        terminated["message"] = message
    return {"terminated": terminated}


def moment(timestamp: int) -> str | None:
    """Unix nanoseconds as Kubernetes writes a time; None for never."""
    if timestamp <= 0:
        return None
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(timestamp // SECOND))
