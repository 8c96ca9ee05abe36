"""A streaming server over real local processes and sockets."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import pty
import socket
import struct
import termios
from collections.abc import AsyncIterator

import pytest

from cricket.errors import NotFound, Unavailable
from cricket.streaming.server import StreamServer
from cricket.types.streams import STDERR, STDOUT, AttachRequest, ExecRequest, Process


class LocalProcess:
    """A local child with pipes; `read` takes from whichever output has something."""

    def __init__(self, child: asyncio.subprocess.Process) -> None:
        self.child = child
        self.closed = False
        self._reads: dict[asyncio.Task[bytes], int] = {}
        assert child.stdout and child.stderr
        for fd, stream in ((STDOUT, child.stdout), (STDERR, child.stderr)):
            self._reads[asyncio.ensure_future(stream.read(65536))] = fd

    async def read(self) -> tuple[int, bytes] | None:
        while self._reads:
            done, _ = await asyncio.wait(self._reads, return_when=asyncio.FIRST_COMPLETED)
            task = done.pop()
            fd = self._reads.pop(task)
            if data := task.result():
                stream = self.child.stdout if fd == STDOUT else self.child.stderr
                assert stream
                self._reads[asyncio.ensure_future(stream.read(65536))] = fd
                return fd, data
        return None

    async def write(self, data: bytes) -> None:
        assert self.child.stdin
        with contextlib.suppress(OSError):
            self.child.stdin.write(data)
            await self.child.stdin.drain()

    async def close_stdin(self) -> None:
        assert self.child.stdin
        self.child.stdin.close()

    async def resize(self, width: int, height: int) -> None:
        pass

    async def wait(self) -> int:
        code = await self.child.wait()
        return code if code >= 0 else 128 - code

    async def close(self) -> None:
        self.closed = True
        for task in self._reads:
            task.cancel()
        await asyncio.gather(*self._reads, return_exceptions=True)
        if self.child.returncode is None:
            self.child.kill()
        await self.child.wait()
        self.child._transport.close()  # type: ignore[attr-defined]  # the pipes, which a grandchild may hold


class TtyProcess:
    """A local child on a pseudo terminal."""

    def __init__(self, child: asyncio.subprocess.Process, master: int) -> None:
        self.child, self.master, self.closed = child, master, False
        os.set_blocking(master, False)

    async def read(self) -> tuple[int, bytes] | None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                data = os.read(self.master, 65536)
                return (STDOUT, data) if data else None
            except BlockingIOError:
                ready = loop.create_future()
                loop.add_reader(self.master, lambda f=ready: f.done() or f.set_result(None))
                try:
                    await ready
                finally:
                    loop.remove_reader(self.master)
            except OSError:
                return None

    async def write(self, data: bytes) -> None:
        os.write(self.master, data)

    async def close_stdin(self) -> None:
        os.write(self.master, b"\x04")

    async def resize(self, width: int, height: int) -> None:
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))

    async def wait(self) -> int:
        return await self.child.wait()

    async def close(self) -> None:
        if not self.closed:
            self.closed = True
            if self.child.returncode is None:
                self.child.kill()
            await self.child.wait()
            os.close(self.master)


class LocalBackend:
    """Runs commands on this machine; container "missing" does not exist; ports are those of this machine."""

    def __init__(self) -> None:
        self.processes: list[LocalProcess | TtyProcess] = []
        self.started = asyncio.Event()

    async def exec(self, request: ExecRequest) -> Process:
        if request.container_id == "missing":
            raise NotFound("the container does not exist", where=request.container_id)
        process = await (self._tty(request) if request.tty else self._pipes(request))
        self.processes.append(process)
        self.started.set()
        return process

    async def attach(self, request: AttachRequest) -> Process:
        return await self.exec(ExecRequest(request.container_id, ("cat",), stdin=request.stdin))

    async def connect(self, sandbox_id: str, port: int) -> socket.socket:
        sock = socket.socket()
        sock.setblocking(False)
        try:
            await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", port))
        except OSError as e:
            sock.close()
            raise Unavailable("cannot connect", where=str(port)) from e
        return sock

    async def _pipes(self, request: ExecRequest) -> LocalProcess:
        pipe, null = asyncio.subprocess.PIPE, asyncio.subprocess.DEVNULL
        child = await asyncio.create_subprocess_exec(
            *request.cmd, stdin=pipe if request.stdin else null, stdout=pipe, stderr=pipe
        )
        return LocalProcess(child)

    async def _tty(self, request: ExecRequest) -> TtyProcess:
        master, slave = pty.openpty()
        try:
            child = await asyncio.create_subprocess_exec(
                *request.cmd, stdin=slave, stdout=slave, stderr=slave, start_new_session=True
            )
        finally:
            os.close(slave)
        return TtyProcess(child, master)


@pytest.fixture
def backend() -> LocalBackend:
    return LocalBackend()


@pytest.fixture
async def server(backend: LocalBackend) -> AsyncIterator[StreamServer]:
    server = StreamServer(backend, creation_timeout=0.3)
    await server.start()
    try:
        yield server
    finally:
        await server.stop()
        assert all(process.closed for process in backend.processes)
