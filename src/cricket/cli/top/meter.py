"""From the runtime's answers to what is shown: pods with their containers, histories, words for states."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import msgspec

from cricket._proto.cri import api_pb2
from cricket.cli.top import host
from cricket.cli.top.gauges import Gauges, together
from cricket.cli.top.model import Container, Frame, History, Moment, Node, Pod, Usage
from cricket.cli.top.source import Reading

MINUTE = 60.0


class Meter:
    """Turns each reading into a frame; the ones before give rates and histories. `interval` in seconds."""

    def __init__(self, interval: float) -> None:
        self._gauges = Gauges()
        self._kept = max(2, round(MINUTE / max(interval, 0.1)))
        self._cpus: tuple[tuple[int, int], ...] = ()
        self._histories: dict[str, History] = {}
        self._node = History()

    def frame(self, reading: Reading) -> Frame:
        """The reading as it is shown."""
        by_pod = defaultdict[str, list[Container]](list)
        stats = {item.attributes.id: item for item in reading.container_stats}
        for item in reading.containers:
            made = self._container(item, stats.get(item.id), reading.statuses.get(item.id))
            by_pod[item.pod_sandbox_id].append(made)
        of_pods = {item.attributes.id: item for item in reading.pod_stats or ()}
        pods = tuple(self._pod(box, of_pods.get(box.id), by_pod[box.id]) for box in reading.pods)
        self._histories = {pod.id: pod.history for pod in pods}
        self._gauges.sweep()
        node = self._measured(reading.host)
        return Frame(
            time=reading.time,
            runtime=reading.runtime,
            endpoint=reading.endpoint,
            took=reading.took,
            node=node,
            pods=pods,
        )

    def _measured(self, now: host.HostReading) -> Node:
        cpus = host.percents(self._cpus, now.cpus)
        node = Node(
            name=now.name, cpus=cpus, memory=now.memory, memory_total=now.memory_total, load=now.load, uptime=now.uptime
        )
        if self._cpus:
            self._node = self._node.grown(node.cpu, self._kept)
        self._cpus = now.cpus
        return msgspec.structs.replace(node, history=self._node)

    def _pod(self, box: Any, stats: Any, made: list[Container]) -> Pod:
        newest = _newest(made)
        usage = self._gauges.pod(stats, together(newest))
        history = self._histories.get(box.id, History())
        if usage.cpu is not None:
            history = history.grown(usage.cpu, self._kept)
        ready = box.state == api_pb2.SANDBOX_READY
        return Pod(
            id=box.id,
            namespace=box.metadata.namespace,
            name=box.metadata.name,
            state="Ready" if ready else "NotReady",
            mood="good" if ready else "dim",
            attempt=box.metadata.attempt,
            restarts=sum(container.attempt for container in newest),
            since=box.created_at,
            handler=box.runtime_handler,
            usage=usage,
            containers=newest,
            moments=_pod_moments(box, made),
            history=history,
        )

    def _container(self, item: Any, stats: Any, status: Any) -> Container:
        running = item.state == api_pb2.CONTAINER_RUNNING
        state, mood = _state(item, status)
        return Container(
            id=item.id,
            name=item.metadata.name,
            state=state,
            mood=mood,
            attempt=item.metadata.attempt,
            since=(status.started_at if status is not None else 0) or item.created_at,
            image=item.image.user_specified_image or item.image.image,
            log_path=status.log_path if status is not None else "",
            usage=self._gauges.container(stats, status) if running and stats is not None else Usage(),
            moments=tuple(_moments(status)) if status is not None else (),
        )


def _newest(containers: list[Container]) -> tuple[Container, ...]:
    """The last attempt of each name, those that began first before the others."""
    found: dict[str, Container] = {}
    for container in sorted(containers, key=lambda c: (c.attempt, c.since)):
        found[container.name] = container
    return tuple(sorted(found.values(), key=lambda c: (c.since, c.name)))


def _state(item: Any, status: Any) -> tuple[str, str]:
    """The word for a container's state, and its mood."""
    if item.state == api_pb2.CONTAINER_RUNNING:
        return "Running", "good"
    if item.state == api_pb2.CONTAINER_CREATED:
        return "Created", "warn"
    if item.state != api_pb2.CONTAINER_EXITED:
        return "Unknown", "bad"
    if status is None:
        return "Exited", "dim"
    if status.reason == "OOMKilled":
        return "OOMKilled", "bad"
    return f"Exit {status.exit_code}", "bad" if status.exit_code else "dim"


def _pod_moments(box: Any, containers: Iterable[Container]) -> tuple[Moment, ...]:
    moments = [Moment(box.created_at, "pod created")]
    for container in containers:
        moments += [Moment(m.time, f"{container.name} {m.text}", m.mood) for m in container.moments]
    return tuple(sorted(moments))


def _moments(status: Any) -> Iterable[Moment]:
    """What a ContainerStatus tells of its past."""
    attempt = f" (restart {status.metadata.attempt})" if status.metadata.attempt else ""
    if status.started_at > 0:
        yield Moment(status.started_at, f"started{attempt}", "good")
    else:
        yield Moment(status.created_at, f"created{attempt}")
    if status.finished_at > 0:
        why = f", {status.reason}" if status.reason not in ("", "Completed", "Error") else ""
        why += f": {status.message}" if status.message else ""
        yield Moment(status.finished_at, f"exited with {status.exit_code}{why}", "bad" if status.exit_code else "")
