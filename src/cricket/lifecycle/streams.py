"""URLs for exec, attach and port-forward: the target is checked when the URL is asked for."""

from __future__ import annotations

from typing import Protocol

from msgspec.structs import replace

from cricket.errors import FailedPrecondition, InvalidArgument
from cricket.lifecycle.exec_start import running
from cricket.lifecycle.parts import Parts
from cricket.types.sandbox import SandboxState
from cricket.types.streams import AttachRequest, ExecRequest, PortForwardRequest


class Urls(Protocol):
    """The streaming server."""

    def exec_url(self, request: ExecRequest) -> str:
        """A one-shot URL."""

    def attach_url(self, request: AttachRequest) -> str:
        """A one-shot URL."""

    def port_forward_url(self, request: PortForwardRequest) -> str:
        """A one-shot URL."""


class CheckedStreams:
    """Satisfies `cricket.cri.engine.Streams`."""

    def __init__(self, parts: Parts, urls: Urls) -> None:
        self._e, self._urls = parts, urls

    def exec_url(self, request: ExecRequest) -> str:
        """Raises NotFound, FailedPrecondition, InvalidArgument."""
        container = running(self._e, request.container_id)
        if not request.cmd:
            raise InvalidArgument("no command is given", where="cmd")
        return self._urls.exec_url(replace(request, container_id=container.id))

    def attach_url(self, request: AttachRequest) -> str:
        """Raises NotFound, FailedPrecondition."""
        container = running(self._e, request.container_id)
        return self._urls.attach_url(replace(request, container_id=container.id))

    def port_forward_url(self, request: PortForwardRequest) -> str:
        """Raises NotFound, FailedPrecondition."""
        box = self._e.store.sandbox(request.sandbox_id)
        if box.state is not SandboxState.READY:
            raise FailedPrecondition(f"the sandbox is {box.state}, not ready", where=box.id)
        return self._urls.port_forward_url(PortForwardRequest(box.id, request.ports))
