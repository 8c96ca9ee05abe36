"""A streaming backend over local processes and sockets."""

from __future__ import annotations

import asyncio
import fcntl
import os
import pty
import socket
import struct
import termios

from cricket.errors import NotFound, Unavailable
from cricket.kernel.process import Child, spawn
from cricket.types.streams import STDERR, STDOUT, AttachRequest, ExecRequest, Process


async def ready(fd: int, *, to_write: bool = False) -> None:
    """Wait until a descriptor can be read or written."""
    loop = asyncio.get_running_loop()
    future = loop.create_future()
    add, remove = (loop.add_writer, loop.remove_writer) if to_write else (loop.add_reader, loop.remove_reader)
    add(fd, lambda: future.done() or future.set_result(None))
    try:
        await future
    finally:
        remove(fd)


async def read_fd(fd: int) -> bytes:
    while True:
        try:
            return os.read(fd, 65536)
        except BlockingIOError:
            await ready(fd)


class LocalProcess:
    """A local child with pipes; `read` takes from whichever output has something."""

    def __init__(self, child: Child, stdin: int, outputs: dict[int, int]) -> None:
        self.child, self.stdin, self.outputs, self.closed = child, stdin, outputs, False
        for fd in (stdin, *outputs):
            os.set_blocking(fd, False)

    async def read(self) -> tuple[int, bytes] | None:
        while self.outputs:
            tasks = {asyncio.ensure_future(ready(fd)): fd for fd in self.outputs}
            try:
                await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
            fd = next(fd for task, fd in tasks.items() if not task.cancelled())
            if data := os.read(fd, 65536):
                return self.outputs[fd], data
            os.close(fd)
            del self.outputs[fd]
        return None

    async def write(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest and self.stdin >= 0:
            try:
                rest = rest[os.write(self.stdin, rest) :]
            except BlockingIOError:
                await ready(self.stdin, to_write=True)
            except BrokenPipeError:
                return

    async def close_stdin(self) -> None:
        if self.stdin >= 0:
            os.close(self.stdin)
            self.stdin = -1

    async def resize(self, width: int, height: int) -> None:
        pass

    async def wait(self) -> int:
        return await self.child.wait()

    async def close(self) -> None:
        self.closed = True
        self.child.kill()
        await self.child.wait()
        await self.close_stdin()
        for fd in self.outputs:
            os.close(fd)
        self.outputs = {}


class TtyProcess:
    """A local child on a pseudo terminal."""

    def __init__(self, child: Child, master: int) -> None:
        self.child, self.master, self.closed = child, master, False
        os.set_blocking(master, False)

    async def read(self) -> tuple[int, bytes] | None:
        try:
            data = await read_fd(self.master)
        except OSError:
            return None
        return (STDOUT, data) if data else None

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
        (in_r, in_w), (out_r, out_w), (err_r, err_w) = os.pipe(), os.pipe(), os.pipe()
        child = spawn(request.cmd, fds={**({0: in_r} if request.stdin else {}), 1: out_w, 2: err_w})
        for fd in (in_r, out_w, err_w):
            os.close(fd)
        return LocalProcess(child, in_w, {out_r: STDOUT, err_r: STDERR})

    async def _tty(self, request: ExecRequest) -> TtyProcess:
        master, slave = pty.openpty()
        try:
            child = spawn(request.cmd, fds={0: slave, 1: slave, 2: slave}, setsid=True)
        finally:
            os.close(slave)
        return TtyProcess(child, master)
