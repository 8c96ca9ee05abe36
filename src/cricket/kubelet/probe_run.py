"""One look at a container, by whichever handler a probe or a hook has. The handlers' words are the kubelet's."""

from __future__ import annotations

import shlex

from cricket import __version__
from cricket.client.errors import RemoteError
from cricket.errors import Code
from cricket.kubelet.loop_cri import Cri
from cricket.kubelet.model.container import Container
from cricket.kubelet.model.probe import ExecAction, Probe
from cricket.kubelet.probe_http import connects, get, port_of

AGENT = f"kube-probe/{__version__}"
_MOST = 10 << 10
"""Bytes of a command's output that are shown (prober.go maxProbeRespLength)."""


class Unanswered(Exception):
    """A probe that could not be made: it says nothing about the container, neither good nor bad."""


async def look(cri: Cri, container: Container, container_id: str, probe: Probe, ip: str) -> tuple[bool, str]:
    """Probe once within the probe's timeout; whether it went well, and the words for the event when not. Raises
    Unanswered."""
    limit = float(probe.timeout_seconds)
    try:
        if probe.exec is not None:
            return await execute(cri, container_id, probe.exec, probe.timeout_seconds)
        if probe.http_get is not None:
            action = probe.http_get
            return await get(action, action.host or ip, port_of(container, action.port), AGENT, limit)
        if probe.tcp_socket is not None:
            host = probe.tcp_socket.host or ip
            return await connects(host, port_of(container, probe.tcp_socket.port), limit)
        if probe.grpc is not None:
            from cricket.kubelet.probe_grpc import check

            return await check(ip, probe.grpc.port, probe.grpc.service, limit)
    except ValueError as error:  # a port's name that is none
        raise Unanswered(str(error)) from None
    except RemoteError as error:
        code = "".join(word.capitalize() for word in error.code.name.split("_"))
        raise Unanswered(f"rpc error: code = {code} desc = {error.what}") from None
    return True, ""


async def execute(cri: Cri, container_id: str, action: ExecAction, timeout: int) -> tuple[bool, str]:
    """Run a command in the container; `timeout` in whole seconds, 0: none. Raises RemoteError when it cannot be."""
    limit = timeout + 10.0 if timeout else None
    try:
        answer = await cri.call(
            "ExecSync", limit=limit, container_id=container_id, cmd=list(action.command), timeout=timeout
        )
    except RemoteError as error:
        if error.code is Code.DEADLINE_EXCEEDED:
            return False, f'command timed out: "{shlex.join(action.command)}" timed out after {timeout}s'
        raise
    output = (answer.stdout + answer.stderr)[:_MOST].decode("utf-8", "replace")
    if answer.exit_code:
        return False, output
    return True, output
