"""A container's files through /proc/PID/root: for root on the container's own node, and images without a tar."""

from __future__ import annotations

import contextlib
import json
import os
import select
from collections.abc import Iterable, Iterator
from typing import Any

from cricket._proto.cri import api_pb2
from cricket.cli.copying.entries import Entry
from cricket.cli.copying.tree import Tree
from cricket.client.connection import Client
from cricket.errors import FailedPrecondition, PermissionDenied, map_errors

_NOBODY = 65534


@contextlib.contextmanager
def root_of(client: Client, container_id: str) -> Iterator[tuple[Tree, Ids]]:
    """The container's root and its user namespace. Raises PermissionDenied without root, FailedPrecondition when the
    container does not run on this machine."""
    if os.geteuid() != 0:
        raise PermissionDenied("this needs root on the container's node", where=container_id)
    pid = _pid(client, container_id)
    todo = "run it on the container's node"
    with contextlib.ExitStack() as stack:
        with map_errors(OSError, FailedPrecondition, "the container's process is not here", where=f"{pid}", todo=todo):
            watch = os.pidfd_open(pid)
            stack.callback(os.close, watch)
            tree = stack.enter_context(Tree.of(f"/proc/{pid}/root"))
            ids = Ids.of(pid)
        # The number could have gone to another process before we opened it: then the container's has ended.
        if _pid(client, container_id) != pid or select.select([watch], [], [], 0)[0]:
            raise FailedPrecondition("the container has just ended", where=container_id)
        yield tree, ids


def _pid(client: Client, container_id: str) -> int:
    answer = client.call("ContainerStatus", container_id=container_id, verbose=True)
    if answer.status.state != api_pb2.CONTAINER_RUNNING:
        raise FailedPrecondition("the container is not running", where=container_id)
    pid = _number(answer.info)
    if pid <= 0:
        raise FailedPrecondition("the runtime does not tell the container's process", where=container_id)
    return pid


def _number(info: Any) -> int:
    """`pid` of the verbose information, in which runtimes put JSON texts."""
    for text in info.values():
        with contextlib.suppress(ValueError):
            said = json.loads(text)
            if isinstance(said, dict) and isinstance(said.get("pid"), int):
                return int(said["pid"])
    return 0


class Ids:
    """Owners as the container sees them, and as this host does: lines (inside, outside, count) of uid_map."""

    def __init__(self, uids: list[tuple[int, int, int]], gids: list[tuple[int, int, int]]) -> None:
        self._uids, self._gids = uids, gids

    @classmethod
    def of(cls, pid: int) -> Ids:
        """Of a process. Raises OSError."""
        return cls(_lines(f"/proc/{pid}/uid_map"), _lines(f"/proc/{pid}/gid_map"))

    def seen_inside(self, entries: Iterable[Entry]) -> Iterator[Entry]:
        """Entries of this host's files with the container's owners."""
        for entry in entries:
            entry.info.uid = _mapped(self._uids, entry.info.uid, 1, 0)
            entry.info.gid = _mapped(self._gids, entry.info.gid, 1, 0)
            yield entry

    def seen_outside(self, entries: Iterable[Entry]) -> Iterator[Entry]:
        """Entries with the container's owners as this host is to make them."""
        for entry in entries:
            entry.info.uid = _mapped(self._uids, entry.info.uid, 0, 1)
            entry.info.gid = _mapped(self._gids, entry.info.gid, 0, 1)
            yield entry


def _lines(path: str) -> list[tuple[int, int, int]]:
    with open(path, encoding="ascii") as file:
        return [(int(a), int(b), int(c)) for a, b, c in (line.split() for line in file)]


def _mapped(lines: list[tuple[int, int, int]], number: int, source: int, to: int) -> int:
    for line in lines:
        if line[source] <= number < line[source] + line[2]:
            return number - line[source] + line[to]
    # Who has no number there is nobody inside; outside the container's root is the least wrong.
    return lines[0][1] if source == 0 and lines else _NOBODY
