"""RunPodSandbox to ListPodSandbox."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator

from cricket._proto.cri import api_pb2 as pb
from cricket.cri.config_info import sandbox_info
from cricket.cri.convert_resources import resources_from
from cricket.cri.convert_sandbox import sandbox_config_from
from cricket.cri.fields import present, required
from cricket.cri.filters import select_sandboxes
from cricket.cri.framing import batches
from cricket.cri.servicer import Servicer
from cricket.types.sandbox import Sandbox

_CONTAINERS = 3
"""PodSandboxStatusResponse.containers_statuses."""


class SandboxRpcs(Servicer):
    """Pod sandboxes."""

    async def RunPodSandbox(self, request: pb.RunPodSandboxRequest) -> pb.RunPodSandboxResponse:
        """Create and start."""
        config = sandbox_config_from(present(request, "config", "config"))
        return pb.RunPodSandboxResponse(pod_sandbox_id=await self.engine.sandboxes.run(config, request.runtime_handler))

    async def StopPodSandbox(self, request: pb.StopPodSandboxRequest) -> pb.StopPodSandboxResponse:
        """Idempotent."""
        await self.engine.sandboxes.stop(required(request.pod_sandbox_id, "pod_sandbox_id"))
        return pb.StopPodSandboxResponse()

    async def RemovePodSandbox(self, request: pb.RemovePodSandboxRequest) -> pb.RemovePodSandboxResponse:
        """Idempotent."""
        await self.engine.sandboxes.remove(required(request.pod_sandbox_id, "pod_sandbox_id"))
        return pb.RemovePodSandboxResponse()

    def PodSandboxStatus(self, request: pb.PodSandboxStatusRequest) -> bytes:
        """The status with those of the containers, of one moment, which `timestamp` tells."""
        box = self.views.sandbox(required(request.pod_sandbox_id, "pod_sandbox_id"))
        info = {**self.engine.sandboxes.info(box.id), **sandbox_info(box.config)} if request.verbose else {}
        containers = self.views.containers_of(box.id)
        # A kubelet drops what looks older than an event it has seen: never older than the records, whatever the clock.
        times = (max(c.created_at, c.started_at, c.finished_at) for c in containers)
        rest = pb.PodSandboxStatusResponse(info=info, timestamp=max(time.time_ns(), box.created_at, *times))
        statuses = self.views.container_statuses
        return b"".join(
            (
                self.views.sandbox_statuses.item(box),
                rest.SerializeToString(),
                *(statuses.element(c, _CONTAINERS) for c in containers),
            )
        )

    def ListPodSandbox(self, request: pb.ListPodSandboxRequest) -> bytes:
        """The list in one message."""
        return self.views.sandbox_items.joined(self._sandbox_list(request.filter))

    async def StreamPodSandboxes(self, request: pb.StreamPodSandboxesRequest) -> AsyncIterator[bytes]:
        """The list in several messages."""
        for batch in batches(self.views.sandbox_items.items(self._sandbox_list(request.filter))):
            yield batch

    def _sandbox_list(self, wanted: pb.PodSandboxFilter) -> list[Sandbox]:
        return select_sandboxes(self.views.sandboxes(), wanted)

    async def UpdatePodSandboxResources(
        self, request: pb.UpdatePodSandboxResourcesRequest
    ) -> pb.UpdatePodSandboxResourcesResponse:
        """Pod-level resources and overhead; what is absent stays as it is."""
        box = required(request.pod_sandbox_id, "pod_sandbox_id")
        overhead = resources_from(request.overhead, "overhead") if request.HasField("overhead") else None
        resources = resources_from(request.resources, "resources") if request.HasField("resources") else None
        await self.engine.sandboxes.update_resources(box, overhead, resources)
        return pb.UpdatePodSandboxResourcesResponse()
