"""Version, Status, RuntimeConfig, UpdateRuntimeConfig."""

from __future__ import annotations

from cricket import __version__
from cricket._proto.cri import api_pb2 as pb
from cricket.cri.convert_node import node_status
from cricket.cri.fields import wire
from cricket.cri.servicer import Servicer

KUBELET_API_VERSION = "0.1.0"
"""What the kubelet calls its side of the interface; it has never changed."""


class NodeRpcs(Servicer):
    """The node as a whole."""

    def Version(self, request: pb.VersionRequest) -> pb.VersionResponse:
        """Who we are; all four fields are set."""
        return pb.VersionResponse(
            version=KUBELET_API_VERSION,
            runtime_name="cricket",
            runtime_version=__version__,
            runtime_api_version="v1",
        )

    async def Status(self, request: pb.StatusRequest) -> pb.StatusResponse:
        """Conditions, handlers and features."""
        return node_status(await self.engine.node.status(request.verbose), request.verbose)

    def RuntimeConfig(self, request: pb.RuntimeConfigRequest) -> pb.RuntimeConfigResponse:
        """The cgroup driver, said explicitly even when it is the enum's zero."""
        driver = self.engine.node.cgroup_driver()
        return pb.RuntimeConfigResponse(linux=pb.LinuxRuntimeConfiguration(cgroup_driver=wire(driver)))

    async def UpdateRuntimeConfig(self, request: pb.UpdateRuntimeConfigRequest) -> pb.UpdateRuntimeConfigResponse:
        """The pod CIDR; a request without one changes nothing."""
        cidr = request.runtime_config.network_config.pod_cidr
        if cidr:
            await self.engine.node.update_runtime_config(cidr)
        return pb.UpdateRuntimeConfigResponse()
