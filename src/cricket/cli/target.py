"""Containers as kubectl users name them: a pod, and -c for one of its containers; or the container itself."""

from __future__ import annotations

from typing import Any

from cricket._proto.cri import api_pb2
from cricket.cli import find
from cricket.client.connection import Client
from cricket.errors import FailedPrecondition, NotFound


def container(client: Client, text: str, name: str = "", *, running: bool = False) -> Any:
    """The container (an item of ListContainers): `name` of the pod `text`, or what `text` is; a pod with one container
    stands for it. Raises NotFound, FailedPrecondition."""
    if name:
        return _of_pod(client, find.sandbox(client, text), name, running)
    try:
        return find.container(client, text, running=running)
    except NotFound as unknown:
        try:
            box = find.sandbox(client, text)
        except NotFound:
            raise unknown from None
    return _of_pod(client, box, "", running)


def _of_pod(client: Client, box: Any, name: str, running: bool) -> Any:
    found = [c for c in client.call("ListContainers", filter={"pod_sandbox_id": box.id}).containers]
    chosen = [c for c in found if not name or c.metadata.name == name]
    alive = [c for c in chosen if c.state == api_pb2.CONTAINER_RUNNING]
    names = ", ".join(sorted({c.metadata.name for c in found}))
    if not chosen:
        what = "the pod has no such container" if name else "the pod has no container"
        raise NotFound(what, where=name or box.metadata.name, todo=f"it has {names}" if names else "")
    if running and not alive:
        raise FailedPrecondition(
            "the container is not running", where=name or box.metadata.name, todo="see `cricket ps -a`"
        )
    if len({c.metadata.name for c in alive or chosen}) > 1:
        raise FailedPrecondition(
            "the pod has several containers", where=box.metadata.name, todo=f"choose with -c: {names}"
        )
    return max(alive or chosen, key=lambda c: c.created_at)
