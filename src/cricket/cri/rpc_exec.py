"""ExecSync, and the URLs of Exec, Attach and PortForward."""

from __future__ import annotations

from typing import Any

from cricket._proto.cri import api_pb2 as pb
from cricket.cri.fields import not_negative, required, texts
from cricket.cri.servicer import Servicer
from cricket.errors import InvalidArgument
from cricket.types.streams import AttachRequest, ExecRequest, PortForwardRequest

MAX_PORT = 65535


class ExecRpcs(Servicer):
    """Processes in containers."""

    async def ExecSync(self, request: pb.ExecSyncRequest) -> pb.ExecSyncResponse:
        """Run to the end. An exit code is no error; a timeout in seconds is, 0 meaning none."""
        container = required(request.container_id, "container_id")
        timeout = not_negative(request.timeout, "timeout")
        result = await self.engine.executor.exec_sync(container, _command(request), timeout)
        return pb.ExecSyncResponse(stdout=result.stdout, stderr=result.stderr, exit_code=result.exit_code)

    def Exec(self, request: pb.ExecRequest) -> pb.ExecResponse:
        """A one-shot URL."""
        _check_streams(request)
        container = self.views.container(required(request.container_id, "container_id"))
        return pb.ExecResponse(
            url=self.streams.exec_url(
                ExecRequest(container.id, _command(request), request.tty, request.stdin, request.stdout, request.stderr)
            )
        )

    def Attach(self, request: pb.AttachRequest) -> pb.AttachResponse:
        """A one-shot URL."""
        _check_streams(request)
        container = self.views.container(required(request.container_id, "container_id"))
        return pb.AttachResponse(
            url=self.streams.attach_url(
                AttachRequest(container.id, request.tty, request.stdin, request.stdout, request.stderr)
            )
        )

    def PortForward(self, request: pb.PortForwardRequest) -> pb.PortForwardResponse:
        """A one-shot URL."""
        box = self.views.sandbox(required(request.pod_sandbox_id, "pod_sandbox_id"))
        for port in request.port:
            if not 0 < port <= MAX_PORT:
                raise InvalidArgument(f"{port} is no port", where="port")
        return pb.PortForwardResponse(
            url=self.streams.port_forward_url(PortForwardRequest(box.id, tuple(request.port)))
        )


def _command(request: Any) -> tuple[str, ...]:
    if not request.cmd or not request.cmd[0]:
        raise InvalidArgument("the request lacks a field", where="cmd")
    return texts(request.cmd, "cmd")


def _check_streams(request: Any) -> None:
    if request.tty and request.stderr:
        raise InvalidArgument("a terminal has no stderr of its own", where="stderr")
    if not (request.stdin or request.stdout or request.stderr):
        raise InvalidArgument("one of stdin, stdout and stderr must be set", where="stdout")
