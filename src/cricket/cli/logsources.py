"""Whose logs somebody asked for: containers by name, or all of a pod."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from cricket._proto.cri import api_pb2
from cricket.cli import find
from cricket.cli.errors import UsageError
from cricket.client.connection import Client
from cricket.errors import CricketError, FailedPrecondition, NotFound

_ALIVE = (api_pb2.CONTAINER_RUNNING, api_pb2.CONTAINER_CREATED)


class Source(NamedTuple):
    """A container with a log; `label` tells it from the others that were asked for."""

    id: str
    label: str
    path: str


class Sources:
    """What the options of `logs` ask for; `whole` when it is pods, whose containers may come and go."""

    def __init__(self, client: Client, args: argparse.Namespace) -> None:
        """Raises UsageError, NotFound and FailedPrecondition."""
        self._client, self._containers, self._previous = client, set(args.container), args.previous
        self._boxes: dict[str, Any] = {}
        self._seen: set[str] = set()
        self._named: list[Any] = []
        for name in args.name:
            self._resolve(name)
        for name in args.pod:
            self._add_pod(find.sandbox(client, name))
        if args.label:
            self._select(dict(args.label))
        if not (args.name or args.pod or args.label):
            raise UsageError("name containers, or pods with --pod", todo="see `cricket logs --help`")
        self.whole = bool(self._boxes)

    def _resolve(self, name: str) -> None:
        """A container, else a pod; with -c always a pod, as kubectl has it."""
        if self._containers:
            self._add_pod(find.sandbox(self._client, name))
            return
        try:
            self._named.append(find.container(self._client, name))
        except NotFound as unknown:
            try:
                self._add_pod(find.sandbox(self._client, name))
            except NotFound:
                raise NotFound("there is no such container or pod", where=name, todo=unknown.todo) from None

    def _add_pod(self, box: Any) -> None:
        self._boxes[box.id] = box

    def _select(self, labels: dict[str, str]) -> None:
        for box in self._client.call("ListPodSandbox", filter={"label_selector": labels}).items:
            self._add_pod(box)
        if not self._boxes:
            raise NotFound("no pod has these labels", where=",".join(f"{k}={v}" for k, v in labels.items()))

    def now(self) -> list[Source]:
        """The containers as they are now: of those named, of each in the pods the newest attempt; with --previous the
        one before it. Raises NotFound when there is none."""
        items = list(self._client.call("ListContainers").containers)
        self._seen = {item.id for item in items}
        chosen = {item.id: item for item in (*self._named, *self._of_pods(items))}
        if self._previous:
            chosen = {item.id: item for item in filter(None, (_before(c, items) for c in chosen.values()))}
            if not chosen:
                raise NotFound("there was no attempt before", todo="see `cricket ps -a`")
        if not chosen:
            what = f"container {', '.join(sorted(self._containers))}" if self._containers else "container"
            raise NotFound(f"the pod has no {what}", todo="see `cricket ps -a`")
        return list(self._sources(sorted(chosen.values(), key=lambda item: item.created_at)))

    def fresh(self) -> tuple[list[Source], set[str], bool]:
        """(containers that have come to the pods since, ids of all that may still write, whether more may come)."""
        items = list(self._client.call("ListContainers").containers)
        alive = {item.id for item in items if item.state in _ALIVE}
        if not self.whole:
            return [], alive, False
        come = [i for i in items if self._fits(i) and i.id not in self._seen and i.state != api_pb2.CONTAINER_CREATED]
        self._seen |= {item.id for item in come}
        boxes = self._client.call("ListPodSandbox").items
        ready = any(box.id in self._boxes and box.state == api_pb2.SANDBOX_READY for box in boxes)
        return list(self._sources(sorted(come, key=lambda item: item.created_at))), alive, ready

    def _of_pods(self, items: Sequence[Any]) -> Iterator[Any]:
        newest: dict[tuple[str, str], Any] = {}
        for item in sorted(items, key=_age):
            if self._fits(item):
                newest[item.pod_sandbox_id, item.metadata.name] = item
        yield from newest.values()

    def _fits(self, item: Any) -> bool:
        return item.pod_sandbox_id in self._boxes and (not self._containers or item.metadata.name in self._containers)

    def _sources(self, items: Sequence[Any]) -> Iterator[Source]:
        pods = {i.pod_sandbox_id for i in (*items, *self._named)} | set(self._boxes)
        all_boxes = {box.id: box for box in self._client.call("ListPodSandbox").items} if len(pods) > 1 else {}
        for item in items:
            try:
                path = self._client.call("ContainerStatus", container_id=item.id).status.log_path
            except CricketError:  # removed since
                continue
            if path:
                yield Source(item.id, _label(item, all_boxes), path)
            elif len(items) == 1:
                raise FailedPrecondition(
                    "the container has no log", where=item.metadata.name, todo="set log_path in its JSON"
                )


def _label(item: Any, boxes: dict[str, Any]) -> str:
    """The container's name; among several pods with the pod's, and its namespace when another pod is called so."""
    box = boxes.get(item.pod_sandbox_id)
    if box is None:
        return str(item.metadata.name)
    names = Counter(other.metadata.name for other in boxes.values() if other.metadata.uid != box.metadata.uid)
    pod = find.sandbox_names(box)[1 if names[box.metadata.name] else 0]
    return f"{pod}/{item.metadata.name}"


def _before(container: Any, items: Sequence[Any]) -> Any:
    """The attempt before this one at the same container of the same pod."""
    older = [i for i in items if _identity(i) == _identity(container) and _age(i) < _age(container)]
    return max(older, key=_age, default=None)


def _age(item: Any) -> tuple[int, int]:
    return item.metadata.attempt, item.created_at


def _identity(item: Any) -> tuple[str, str]:
    return item.labels.get("io.kubernetes.pod.uid") or item.pod_sandbox_id, item.metadata.name
