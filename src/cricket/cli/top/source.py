"""Asking the runtime: a few lists for each measurement, and the status of a container when it is new or has changed."""

from __future__ import annotations

import contextlib
import time
from collections import deque
from typing import Any, NamedTuple

from cricket.cli.top.host import HostReading, read
from cricket.client.connection import Client
from cricket.client.errors import RemoteError
from cricket.errors import Code, CricketError

_STATUSES = 64
"""Statuses that one measurement asks for at most: many new containers are learnt about over several."""


class Reading(NamedTuple):
    """The runtime's answers; `pod_stats` is None when it has no statistics of pods. `statuses` by container id."""

    time: int
    runtime: str
    endpoint: str
    pods: list[Any]
    containers: list[Any]
    pod_stats: list[Any] | None
    container_stats: list[Any]
    statuses: dict[str, Any]
    host: HostReading
    took: float


class Source:
    """Reads a runtime through a client. It remembers statuses, and what the runtime has not."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self._version = ""
        self._has_pod_stats = True
        self._statuses: dict[str, tuple[int, Any]] = {}
        self._turn = deque[str]()

    def read(self) -> Reading:
        """One measurement. Raises as `Client.call` does."""
        began = time.perf_counter()
        if not self._version:
            version = self.client.call("Version")
            self._version = f"{version.runtime_name} {version.runtime_version}".strip()
        pod_stats, container_stats = self._stats()
        pods = list(self.client.call("ListPodSandbox").items)
        containers = list(self.client.call("ListContainers").containers)
        self._learn(containers)
        return Reading(
            time=time.time_ns(),
            runtime=self._version,
            endpoint=self.client.endpoint,
            pods=pods,
            containers=containers,
            pod_stats=pod_stats,
            container_stats=container_stats,
            statuses={key: status for key, (_, status) in self._statuses.items()},
            host=read(),
            took=time.perf_counter() - began,
        )

    def _stats(self) -> tuple[list[Any] | None, list[Any]]:
        """Statistics of pods with their containers; of containers alone where a runtime has no others."""
        if self._has_pod_stats:
            try:
                stats = list(self.client.call("ListPodSandboxStats").stats)
                return stats, [item for pod in stats for item in pod.linux.containers]
            except RemoteError as error:
                if error.code is not Code.UNIMPLEMENTED:
                    raise
                self._has_pod_stats = False
        return None, list(self.client.call("ListContainerStats").stats)

    def _learn(self, containers: list[Any]) -> None:
        """Ask about containers that are new or in another state; and about one of the others, whose limits may have
        changed."""
        present = {item.id: item.state for item in containers}
        self._statuses = {key: known for key, known in self._statuses.items() if key in present}
        wanted = [key for key, state in present.items() if self._statuses.get(key, (None,))[0] != state][:_STATUSES]
        if not wanted:
            if not self._turn:
                self._turn.extend(present)
            wanted = [self._turn.popleft()] if self._turn else []
        for key in wanted:
            with contextlib.suppress(CricketError):  # removed since; a runtime that is gone is found out by the lists
                self._statuses[key] = (
                    present.get(key, -1),
                    self.client.call("ContainerStatus", container_id=key).status,
                )
