"""A CRI server on the fake engine and a real streaming server over local processes, in a thread of its own."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import termios
import threading
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, TypeVar

import pytest

from cricket.cli.main import main
from cricket.cri.fake import FakeEngine
from cricket.cri.server import CriServer
from cricket.cri.side import SideService
from cricket.errors import Unavailable, map_errors
from cricket.streaming.server import StreamServer
from cricket.types.metrics import Registry
from cricket.types.streams import STDERR, STDOUT, AttachRequest, ExecRequest

T = TypeVar("T")


class LocalProcess:
    """A local child as a container's process would be."""

    def __init__(self, cmd: tuple[str, ...], tty: bool, stdin: bool) -> None:
        self._outputs: dict[int, int] = {}
        if tty:
            self._input, slave = os.openpty()
            cmd = ("setsid", "--ctty", *cmd)  # so that Ctrl-C is a signal there
            ends = {"stdin": slave, "stdout": slave, "stderr": slave}
            self._outputs[self._input] = STDOUT
        else:
            (theirs_in, self._input), (out, theirs_out), (err, theirs_err) = os.pipe(), os.pipe(), os.pipe()
            ends = {"stdin": theirs_in, "stdout": theirs_out, "stderr": theirs_err}
            self._outputs = {out: STDOUT, err: STDERR}
        self.child = subprocess.Popen(cmd, **ends, start_new_session=not tty)  # type: ignore[call-overload]  # fds
        for fd in set(ends.values()):
            os.close(fd)
        self._tty, self._reads = tty, dict[asyncio.Task[bytes], int]()
        self._open = {self._input, *self._outputs}
        for fd in self._outputs:
            self._ask(fd)

    def _ask(self, fd: int) -> None:
        def read() -> bytes:
            try:
                return os.read(fd, 65536)
            except OSError:  # the terminal's last user has gone
                return b""

        self._reads[asyncio.ensure_future(asyncio.to_thread(read))] = fd

    async def read(self) -> tuple[int, bytes] | None:
        while self._reads:
            done, _ = await asyncio.wait(self._reads, return_when=asyncio.FIRST_COMPLETED)
            task = done.pop()
            fd = self._reads.pop(task)
            if data := task.result():
                self._ask(fd)
                return self._outputs[fd], data
        return None

    async def write(self, data: bytes) -> None:
        with contextlib.suppress(OSError):
            await asyncio.to_thread(os.write, self._input, data)

    async def close_stdin(self) -> None:
        if not self._tty:
            self._close(self._input)

    async def resize(self, width: int, height: int) -> None:
        fcntl.ioctl(self._input, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))

    async def wait(self) -> int:
        code = int(await asyncio.to_thread(self.child.wait))
        return code if code >= 0 else 128 - code

    async def close(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.child.pid, signal.SIGKILL)
        await asyncio.to_thread(self.child.wait)
        await asyncio.gather(*self._reads, return_exceptions=True)
        for fd in tuple(self._open):
            self._close(fd)

    def _close(self, fd: int) -> None:
        if fd in self._open:
            self._open.remove(fd)
            os.close(fd)


class LocalBackend:
    """Exec runs a local command, attach a `cat`, ports are this host's."""

    async def exec(self, request: ExecRequest) -> LocalProcess:
        process = LocalProcess(request.cmd, request.tty, request.stdin)
        if not request.stdin:
            await process.close_stdin()
        return process

    async def attach(self, request: AttachRequest) -> LocalProcess:
        return LocalProcess(("cat",), request.tty, request.stdin)

    async def connect(self, sandbox_id: str, port: int) -> socket.socket:
        with map_errors(OSError, Unavailable, "nobody listens", where=f"port {port}"):
            sock = socket.create_connection(("127.0.0.1", port), timeout=5)
        sock.setblocking(False)
        return sock


class Node:
    """The servers, and ways to call into their loop."""

    def __init__(self, directory: str) -> None:
        self.directory, self.socket = directory, f"{directory}/cri.sock"
        self.engine = FakeEngine()
        self.side: dict[str, Any] = {}
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever)

    def start(self) -> None:
        self._thread.start()
        self.run(self._start())

    async def _start(self) -> None:
        self._streaming = StreamServer(LocalBackend(), address="127.0.0.1", port=0)
        await self._streaming.start()
        side = SideService(**self.side)
        self._server = CriServer(self.engine, self._streaming, self.socket, side=side, registry=Registry())
        await self._server.start()

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run in the servers' loop."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(20)

    def stop(self) -> None:
        self.run(self._server.stop(0.2))
        self.run(self._streaming.stop())
        self.run(self.loop.shutdown_default_executor())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()


@pytest.fixture
def node(monkeypatch: pytest.MonkeyPatch) -> Iterator[Node]:
    # A socket's path must be short, which tmp_path is not.
    directory = tempfile.mkdtemp(prefix="cli-")
    monkeypatch.setenv("CONTAINER_RUNTIME_ENDPOINT", f"unix://{directory}/cri.sock")
    node = Node(directory)
    node.start()
    yield node
    node.stop()
    shutil.rmtree(directory)


Cricket = Callable[..., tuple[int, str, str]]


@pytest.fixture
def cricket(node: Node, capfd: pytest.CaptureFixture[str]) -> Cricket:
    """Runs a command in this process: (exit code, stdout, stderr)."""

    def run(*words: str) -> tuple[int, str, str]:
        capfd.readouterr()
        code = main(words)
        out, err = capfd.readouterr()
        return code, out, err

    return run
