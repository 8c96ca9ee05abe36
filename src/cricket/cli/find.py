"""Objects by what people type: an id, the beginning of one, or a name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from cricket._proto.cri import api_pb2
from cricket.cli.words import short
from cricket.client.connection import Client
from cricket.errors import FailedPrecondition, NotFound


def container(client: Client, text: str, *, running: bool = False) -> Any:
    """The container (an item of ListContainers) with this id, name, POD/NAME or prefix of an id, in this order.

    A name that several containers have had, as after restarts, means the running one, else the newest. With `running`
    only running ones count. Raises NotFound, and FailedPrecondition when several fit.
    """
    items = client.call("ListContainers").containers
    found = _fitting(items, text, container_names, _running)
    if not found and "/" in text:
        # Only a kubelet labels containers with their pods; the pod's name is also its sandbox's.
        pod, _, name = text.rpartition("/")
        boxes = {box.id for box in sandboxes(client, pod)}
        found = _fitting([i for i in items if i.pod_sandbox_id in boxes], name, container_names, _running)
    item = _one(found, text, "container", "ps -a")
    if running and item.state != api_pb2.CONTAINER_RUNNING:
        raise FailedPrecondition("the container is not running", where=text, todo="see `cricket ps -a`")
    return item


def sandbox(client: Client, text: str) -> Any:
    """The sandbox (an item of ListPodSandbox) with this id, name, NAMESPACE/NAME or prefix of an id, in this order.

    A name that several have had means the one that is ready, else the newest. Raises as `container` does.
    """
    return _one(sandboxes(client, text), text, "pod", "pods")


def sandboxes(client: Client, text: str) -> list[Any]:
    """All that `sandbox` could mean. `pod/NAME` is NAME, too, as kubectl writes it."""
    items = client.call("ListPodSandbox").items
    found = _fitting(items, text, sandbox_names, lambda item: bool(item.state == api_pb2.SANDBOX_READY))
    if not found and text.startswith("pod/"):
        return sandboxes(client, text.removeprefix("pod/"))
    return found


def _running(item: Any) -> bool:
    return bool(item.state == api_pb2.CONTAINER_RUNNING)


def container_names(item: Any) -> tuple[str, ...]:
    """The names that a container goes by."""
    pod = item.labels.get("io.kubernetes.pod.name", "")
    return (item.metadata.name, f"{pod}/{item.metadata.name}") if pod else (item.metadata.name,)


def sandbox_names(item: Any) -> tuple[str, ...]:
    """The names that a sandbox goes by."""
    return item.metadata.name, f"{item.metadata.namespace}/{item.metadata.name}"


def _fitting(
    items: Sequence[Any], text: str, names: Callable[[Any], Sequence[str]], alive: Callable[[Any], bool]
) -> list[Any]:
    exact = [item for item in items if item.id == text]
    if exact:
        return exact
    named = [item for item in items if text in names(item)]
    if not named:
        return [item for item in items if text and item.id.startswith(text)]
    living = [item for item in named if alive(item)]
    if not living and len({_pod(item) for item in named}) == 1:
        living = [max(named, key=lambda item: item.created_at)]
    return living or named


def _pod(item: Any) -> str:
    """What the attempts at one container or pod have in common."""
    uid = item.labels.get("io.kubernetes.pod.uid", "")
    return str(uid or getattr(item, "pod_sandbox_id", "") or f"{item.metadata.namespace}/{item.metadata.uid}")


def _one(items: list[Any], text: str, what: str, listing: str) -> Any:
    if not items:
        raise NotFound(f"there is no such {what}", where=text, todo=f"see `cricket {listing}`")
    if len(items) > 1:
        ids = ", ".join(short(item.id) for item in items[:5])
        raise FailedPrecondition(f"{len(items)} {what}s fit", where=text, todo=f"name one by its id: {ids}")
    return items[0]
