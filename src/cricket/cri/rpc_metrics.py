"""ListMetricDescriptors, ListPodSandboxMetrics, StreamPodSandboxMetrics."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from cricket._proto.cri import api_pb2 as pb
from cricket.cri.framing import framed
from cricket.cri.pod_metrics import descriptors, sandbox_metrics
from cricket.cri.servicer import Servicer
from cricket.types.sandbox import SandboxState


class MetricRpcs(Servicer):
    """cAdvisor's metrics through CRI (KEP-2371)."""

    def ListMetricDescriptors(self, request: pb.ListMetricDescriptorsRequest) -> pb.ListMetricDescriptorsResponse:
        """Names, help and labels of every metric there can be."""
        return pb.ListMetricDescriptorsResponse(descriptors=descriptors())

    async def ListPodSandboxMetrics(self, request: pb.ListPodSandboxMetricsRequest) -> bytes:
        """The metrics of all ready sandboxes in one message."""
        return b"".join([item async for item in self._metrics()])

    async def StreamPodSandboxMetrics(self, request: pb.StreamPodSandboxMetricsRequest) -> AsyncIterator[bytes]:
        """The metrics of all ready sandboxes, a message each."""
        async for item in self._metrics():
            yield item

    async def _metrics(self) -> AsyncIterator[bytes]:
        records = {b.id: b for b in self.views.sandboxes() if b.state is SandboxState.READY}
        usages = await self.engine.sandboxes.stats(list(records), full=True)
        containers = {c.id: c for c in self.views.containers()}
        for usage in usages:
            if usage.id in records:
                yield framed(sandbox_metrics(records[usage.id], usage, containers).SerializeToString())
                # A hundred samples a pod: let other calls in between.
                await asyncio.sleep(0)
