"""What the agent has to know of a pod after its own death and CRI does not keep: a small file for each pod."""

from __future__ import annotations

import contextlib
import os

import msgspec

from cricket.kubelet.backoff import Entry
from cricket.kubelet.model.container import ResourceRequirements
from cricket.kubelet.model.pod import Pod
from cricket.kubelet.node import Node


class Memory(msgspec.Struct, frozen=True):
    """When the pod began (Unix ns), the back-offs by container, the resources that were changed in place by id,
    and the pod as it was when all of them were in place."""

    started_at: int = 0
    backoff: dict[str, Entry] = {}
    applied: dict[str, ResourceRequirements] = {}
    settled: Pod | None = None


def load(node: Node, uid: str) -> Memory:
    """What was saved; nothing when there is nothing that can be read."""
    try:
        with open(_path(node, uid), "rb") as file:
            return msgspec.json.decode(file.read(), type=Memory)
    except (OSError, msgspec.MsgspecError):
        return Memory()


def save(node: Node, uid: str, memory: Memory) -> None:
    """Replace the file; it is whole or the old one. Without it a restart merely begins its back-offs anew, so a disk
    that is full stops nothing."""
    path = _path(node, uid)
    with contextlib.suppress(OSError):
        os.makedirs(os.path.dirname(path), 0o700, exist_ok=True)
        with open(path + ".new", "wb") as file:
            file.write(msgspec.json.encode(memory))
        os.replace(path + ".new", path)


def forget(node: Node, uid: str) -> None:
    """Idempotent."""
    with contextlib.suppress(OSError):
        os.unlink(_path(node, uid))


def _path(node: Node, uid: str) -> str:
    return os.path.join(node.root, "agent", f"{uid}.json")
