"""Requests of the streaming server, and what the engine hands it in return."""

from __future__ import annotations

from typing import Protocol

import msgspec


class ExecRequest(msgspec.Struct, frozen=True):
    """Run `cmd` in a running container; with `tty` there is no stderr."""

    container_id: str
    cmd: tuple[str, ...]
    tty: bool = False
    stdin: bool = False
    stdout: bool = True
    stderr: bool = True


class AttachRequest(msgspec.Struct, frozen=True):
    """Attach to the first process of a running container."""

    container_id: str
    tty: bool = False
    stdin: bool = False
    stdout: bool = True
    stderr: bool = True


class PortForwardRequest(msgspec.Struct, frozen=True):
    """Forward `ports` (empty: any) of a sandbox."""

    sandbox_id: str
    ports: tuple[int, ...] = ()


class ExecResult(msgspec.Struct, frozen=True):
    """Outcome of a synchronous exec."""

    stdout: bytes
    stderr: bytes
    exit_code: int


STDOUT, STDERR = 1, 2


class Process(Protocol):
    """A process (exec) or the first process of a container (attach) whose streams are in our hands."""

    async def read(self) -> tuple[int, bytes] | None:
        """The next output as (STDOUT or STDERR, data); None at the end of all output. Nothing is read ahead."""

    async def write(self, data: bytes) -> None:
        """Write to stdin, waiting while the pipe is full; silently dropped when the process no longer reads."""

    async def close_stdin(self) -> None:
        """Half-close: the process sees end of file. Idempotent."""

    async def resize(self, width: int, height: int) -> None:
        """Resize the terminal, in characters; without a terminal nothing happens."""

    async def wait(self) -> int:
        """The exit code (128 + signal number when killed); for attach, 0 when the output ended."""

    async def close(self) -> None:
        """Let go: an exec'd process is killed, an attached one goes on. Idempotent."""
