"""Exec: starting a command in a running container."""

from __future__ import annotations

import os
import secrets

import msgspec

from cricket.errors import FailedPrecondition
from cricket.kernel.files import atomic_write
from cricket.kernel.process import spawn
from cricket.lifecycle.exec_process import ExecProcess, Streams, open_terminal
from cricket.lifecycle.parts import Parts
from cricket.oci.process import exec_process
from cricket.types.container import Container, ContainerState
from cricket.types.streams import ExecRequest


def running(e: Parts, container_id: str) -> Container:
    """The container when it runs. Raises NotFound, FailedPrecondition."""
    container = e.store.container(container_id)
    if container.state is not ContainerState.RUNNING:
        raise FailedPrecondition(f"the container is {container.state}, not running", where=container.id)
    return container


async def start(e: Parts, request: ExecRequest) -> ExecProcess:
    """Start the command. A command that does not exist shows as exit code 126 or 127 and the runtime's words on stderr.

    Raises NotFound, FailedPrecondition when the container does not run, InvalidArgument for an empty command.
    """
    container = running(e, request.container_id)
    bundle = e.layout.bundle(container.id)
    process = exec_process(e.bundles.read(container.id), request.cmd, tty=request.tty)
    name = secrets.token_hex(8)
    spec_file, pid_file = f"{bundle}/exec-{name}.json", f"{bundle}/exec-{name}.pid"
    atomic_write(spec_file, msgspec.json.encode(process), mode=0o600, durable=False)
    runtime = e.handlers.of(container.handler).runtime
    argv = runtime.exec_argv(container.id, spec_file, pid_file)
    theirs: list[int] = []
    try:
        streams, fds = _terminal(theirs) if request.tty else _pipes(request, theirs)
        child = spawn(argv, fds=fds, setsid=request.tty)
    finally:
        for fd in theirs:
            os.close(fd)
    return ExecProcess(child, streams, pid_file, (spec_file, pid_file))


def _terminal(theirs: list[int]) -> tuple[Streams, dict[int, int]]:
    ours, other = open_terminal()
    theirs.append(other)
    return Streams(ours, ours, -1, terminal=True), {0: other, 1: other, 2: other}


def _pipes(request: ExecRequest, theirs: list[int]) -> tuple[Streams, dict[int, int]]:
    fds: dict[int, int] = {}
    ours = {0: -1, 1: -1, 2: -1}
    for number, wanted in ((0, request.stdin), (1, request.stdout), (2, request.stderr)):
        if wanted:
            read_end, write_end = os.pipe2(os.O_CLOEXEC)
            ours[number], fds[number] = (write_end, read_end) if number == 0 else (read_end, write_end)
            theirs.append(fds[number])
    return Streams(ours[0], ours[1], ours[2], terminal=False), fds
