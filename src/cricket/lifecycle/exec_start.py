"""Exec: starting a command in a running container."""

from __future__ import annotations

import contextlib
import os
import secrets

import msgspec

from cricket.errors import FailedPrecondition, ResourceExhausted, map_errors
from cricket.kernel.files import atomic_write, remove_file
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

    Raises NotFound, FailedPrecondition when the container does not run, InvalidArgument for an empty command,
    ResourceExhausted.
    """
    container = running(e, request.container_id)
    e.moves.soon()
    bundle = e.layout.bundle(container.id)
    process = exec_process(e.bundles.read(container.id), request.cmd, tty=request.tty)
    name = secrets.token_hex(8)
    spec_file, pid_file = f"{bundle}/exec-{name}.json", f"{bundle}/exec-{name}.pid"
    runtime = e.handlers.of(container.handler).runtime
    argv = runtime.exec_argv(container.id, spec_file, pid_file)
    with contextlib.ExitStack() as theirs, contextlib.ExitStack() as ours:
        ours.callback(remove_file, spec_file)
        atomic_write(spec_file, msgspec.json.encode(process), mode=0o600, durable=False)
        with map_errors(OSError, ResourceExhausted, "cannot make the command's streams", where=container.id):
            streams, fds = (_terminal if request.tty else _pipes)(request, theirs, ours)
        child = spawn(argv, fds=fds, setsid=request.tty)
        ours.pop_all()
    return ExecProcess(child, streams, pid_file, (spec_file, pid_file))


def _terminal(
    request: ExecRequest, theirs: contextlib.ExitStack, ours: contextlib.ExitStack
) -> tuple[Streams, dict[int, int]]:
    fd, other = open_terminal()
    ours.callback(os.close, fd)
    theirs.callback(os.close, other)
    return Streams(fd, fd, -1, terminal=True), {0: other, 1: other, 2: other}


def _pipes(
    request: ExecRequest, theirs: contextlib.ExitStack, ours: contextlib.ExitStack
) -> tuple[Streams, dict[int, int]]:
    fds: dict[int, int] = {}
    kept = {0: -1, 1: -1, 2: -1}
    for number, wanted in ((0, request.stdin), (1, request.stdout), (2, request.stderr)):
        if wanted:
            read_end, write_end = os.pipe2(os.O_CLOEXEC)
            kept[number], fds[number] = (write_end, read_end) if number == 0 else (read_end, write_end)
            ours.callback(os.close, kept[number])
            theirs.callback(os.close, fds[number])
    return Streams(kept[0], kept[1], kept[2], terminal=False), fds
