"""Stats of containers and sandboxes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, TypeVar

from cricket._proto.cri import api_pb2 as pb
from cricket.cri.convert_stats import container_stats, sandbox_stats
from cricket.cri.fields import required
from cricket.cri.filters import select_containers, select_sandboxes
from cricket.cri.framing import batches, framed
from cricket.cri.servicer import Servicer
from cricket.types.container import ContainerState
from cricket.types.sandbox import SandboxState
from cricket.types.stats import ContainerUsage, SandboxUsage

U = TypeVar("U", ContainerUsage, SandboxUsage)
TURN = 10


class StatsRpcs(Servicer):
    """Stats. What vanished while it was measured is left out; one that is asked for by id is NotFound then."""

    async def ContainerStats(self, request: pb.ContainerStatsRequest) -> pb.ContainerStatsResponse:
        """One container; one that does not run has attributes only."""
        container = self.views.container(required(request.container_id, "container_id"))
        found = await self.engine.containers.stats([container.id])
        usage = found[0] if found else ContainerUsage(container.id)
        return pb.ContainerStatsResponse(stats=container_stats(container, usage))

    async def ListContainerStats(self, request: pb.ListContainerStatsRequest) -> bytes:
        """All running ones in one message."""
        return b"".join(await self._container_stats(request.filter))

    async def StreamContainerStats(self, request: pb.StreamContainerStatsRequest) -> AsyncIterator[bytes]:
        """All running ones in several messages."""
        for batch in batches(await self._container_stats(request.filter)):
            yield batch

    async def _container_stats(self, wanted: pb.ContainerStatsFilter) -> list[bytes]:
        chosen = select_containers(self.views.containers(), self.views.sandboxes(), wanted)
        records = {c.id: c for c in chosen if c.state is ContainerState.RUNNING}
        usages = await self.engine.containers.stats(list(records))
        return await _paced(lambda u: container_stats(records[u.id], u), [u for u in usages if u.id in records])

    async def PodSandboxStats(self, request: pb.PodSandboxStatsRequest) -> pb.PodSandboxStatsResponse:
        """One sandbox; one that is not ready has attributes only."""
        box = self.views.sandbox(required(request.pod_sandbox_id, "pod_sandbox_id"))
        found = await self.engine.sandboxes.stats([box.id])
        usage = found[0] if found else SandboxUsage(box.id)
        containers = {c.id: c for c in self.views.containers_of(box.id)}
        return pb.PodSandboxStatsResponse(stats=sandbox_stats(box, usage, containers))

    async def ListPodSandboxStats(self, request: pb.ListPodSandboxStatsRequest) -> bytes:
        """All ready ones in one message."""
        return b"".join(await self._sandbox_stats(request.filter))

    async def StreamPodSandboxStats(self, request: pb.StreamPodSandboxStatsRequest) -> AsyncIterator[bytes]:
        """All ready ones in several messages."""
        for batch in batches(await self._sandbox_stats(request.filter)):
            yield batch

    async def _sandbox_stats(self, wanted: pb.PodSandboxStatsFilter) -> list[bytes]:
        chosen = select_sandboxes(self.views.sandboxes(), wanted)
        records = {b.id: b for b in chosen if b.state is SandboxState.READY}
        usages = await self.engine.sandboxes.stats(list(records))
        containers = {c.id: c for c in self.views.containers()}
        known = [u for u in usages if u.id in records]
        return await _paced(lambda u: sandbox_stats(records[u.id], u, containers), known)


async def _paced(build: Callable[[U], Any], usages: Sequence[U]) -> list[bytes]:
    """Each usage as an element of field 1; other calls get their turn every few, as one takes up to 0.1 ms."""
    items = []
    for i, usage in enumerate(usages):
        items.append(framed(build(usage).SerializeToString()))
        if i % TURN == TURN - 1:
            await asyncio.sleep(0)
    return items
