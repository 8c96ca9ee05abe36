"""CreateContainer to ContainerStatus, resources, log, checkpoints."""

from __future__ import annotations

from collections.abc import AsyncIterator

from cricket._proto.cri import api_pb2 as pb
from cricket.cri.config_info import container_info
from cricket.cri.convert_container import container_config_from
from cricket.cri.convert_resources import resources_from
from cricket.cri.convert_sandbox import sandbox_config_from
from cricket.cri.fields import not_negative, present, required
from cricket.cri.filters import select_containers
from cricket.cri.framing import batches
from cricket.cri.servicer import Servicer
from cricket.errors import InvalidArgument, Unimplemented
from cricket.types.container import Container


class ContainerRpcs(Servicer):
    """Containers."""

    async def CreateContainer(self, request: pb.CreateContainerRequest) -> pb.CreateContainerResponse:
        """Create; the sandbox's config is a courtesy of the caller, the record counts."""
        box = required(request.pod_sandbox_id, "pod_sandbox_id")
        config = container_config_from(present(request, "config", "config"))
        sandbox_config = None
        if request.HasField("sandbox_config"):
            sandbox_config = sandbox_config_from(request.sandbox_config, "sandbox_config")
        return pb.CreateContainerResponse(container_id=await self.engine.containers.create(box, config, sandbox_config))

    async def StartContainer(self, request: pb.StartContainerRequest) -> pb.StartContainerResponse:
        """Start what was created."""
        await self.engine.containers.start(required(request.container_id, "container_id"))
        return pb.StartContainerResponse()

    async def StopContainer(self, request: pb.StopContainerRequest) -> pb.StopContainerResponse:
        """Idempotent. Timeout 0, or less, is SIGKILL at once."""
        await self.engine.containers.stop(required(request.container_id, "container_id"), max(request.timeout, 0))
        return pb.StopContainerResponse()

    async def RemoveContainer(self, request: pb.RemoveContainerRequest) -> pb.RemoveContainerResponse:
        """Idempotent."""
        await self.engine.containers.remove(required(request.container_id, "container_id"))
        return pb.RemoveContainerResponse()

    def ListContainers(self, request: pb.ListContainersRequest) -> bytes:
        """The list in one message."""
        return self.views.container_items.joined(self._container_list(request.filter))

    async def StreamContainers(self, request: pb.StreamContainersRequest) -> AsyncIterator[bytes]:
        """The list in several messages."""
        for batch in batches(self.views.container_items.items(self._container_list(request.filter))):
            yield batch

    def _container_list(self, wanted: pb.ContainerFilter) -> list[Container]:
        sandboxes = self.views.sandboxes() if wanted.pod_sandbox_id else []
        return select_containers(self.views.containers(), sandboxes, wanted)

    def ContainerStatus(self, request: pb.ContainerStatusRequest) -> bytes:
        """The status."""
        container = self.views.container(required(request.container_id, "container_id"))
        status = self.views.container_statuses.item(container)
        if not request.verbose:
            return status
        info = {**self.engine.containers.info(container.id), **container_info(container.config)}
        verbose: bytes = pb.ContainerStatusResponse(info=info).SerializeToString()
        return status + verbose

    async def UpdateContainerResources(
        self, request: pb.UpdateContainerResourcesRequest
    ) -> pb.UpdateContainerResourcesResponse:
        """All or nothing."""
        container = required(request.container_id, "container_id")
        resources = resources_from(present(request, "linux", "linux"), "linux")
        await self.engine.containers.update_resources(container, resources, dict(request.annotations))
        return pb.UpdateContainerResourcesResponse()

    async def ReopenContainerLog(self, request: pb.ReopenContainerLogRequest) -> pb.ReopenContainerLogResponse:
        """After a rotation."""
        await self.engine.containers.reopen_log(required(request.container_id, "container_id"))
        return pb.ReopenContainerLogResponse()

    async def CheckpointContainer(self, request: pb.CheckpointContainerRequest) -> pb.CheckpointContainerResponse:
        """Write an archive; the container goes on."""
        container = required(request.container_id, "container_id")
        location = required(request.location, "location")
        if not location.startswith("/"):
            raise InvalidArgument("the location is an absolute path", where="location")
        await self.engine.containers.checkpoint(container, location, not_negative(request.timeout, "timeout"))
        return pb.CheckpointContainerResponse()

    def CheckpointPod(self, request: pb.CheckpointPodRequest) -> pb.CheckpointPodResponse:
        """Nobody has it yet."""
        raise Unimplemented("checkpoints of whole pods are not supported")

    def RestorePod(self, request: pb.RestorePodRequest) -> pb.RestorePodResponse:
        """Nobody has it yet."""
        raise Unimplemented("checkpoints of whole pods are not supported")
