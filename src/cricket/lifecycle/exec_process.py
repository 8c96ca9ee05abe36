"""A command running in a container: the runtime's `exec` in the foreground, with its streams in our hands."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import signal
import termios
import tty

from cricket.kernel import pts
from cricket.kernel.files import remove_file
from cricket.kernel.proc import descendants
from cricket.kernel.process import Child
from cricket.types.streams import STDERR, STDOUT

_CHUNK = 65536
_REAP = 5.0  # seconds that the runtime has to reap a killed command
_DRAIN = 2.0  # seconds for which output is still read after the exit: a grandchild may hold the pipes for ever
_TELL_AGAIN = (0.02, 0.05, 0.1, 0.2, 0.5, *[1.0] * 60)  # seconds between looks for the command's terminal
_LATE = 2 << 20  # bytes read after that time: what two pipes can hold


def _wake(ready: asyncio.Future[None]) -> None:
    if not ready.done():
        ready.set_result(None)


class Streams:
    """Our ends of the command's streams; -1 where there is none. With a terminal all are the same descriptor."""

    def __init__(self, stdin: int, stdout: int, stderr: int, *, terminal: bool) -> None:
        self.stdin, self.stdout, self.stderr, self.terminal = stdin, stdout, stderr, terminal
        for fd in {stdin, stdout, stderr} - {-1}:
            os.set_blocking(fd, False)


def open_terminal() -> tuple[int, int]:
    """A raw pseudo-terminal as (our end, the runtime's end): the container's own terminal does the cooking."""
    ours, theirs = os.openpty()
    tty.setraw(theirs)
    return ours, theirs


class ExecProcess:
    """Satisfies `cricket.types.streams.Process`."""

    def __init__(self, child: Child, streams: Streams, pid_file: str, files: tuple[str, ...]) -> None:
        self._child, self._streams, self._pid_file, self._files = child, streams, pid_file, files
        self._outputs = {fd: which for fd, which in ((streams.stdout, STDOUT), (streams.stderr, STDERR)) if fd >= 0}
        self._exit = asyncio.ensure_future(self._finish())
        self._deadline: float | None = None
        self._late = 0
        self._size = b""
        self._telling: asyncio.Task[None] | None = None

    async def _finish(self) -> int:
        code = await self._child.wait()
        self._deadline = asyncio.get_running_loop().time() + _DRAIN
        for path in self._files:
            remove_file(path)
        return code

    async def read(self) -> tuple[int, bytes] | None:
        """The next output; None when both streams have ended, or `_DRAIN` seconds after the exit."""
        # A command that writes faster than we read would otherwise never let anybody else have the event loop.
        await asyncio.sleep(0)
        while self._outputs:
            for fd in list(self._outputs):
                try:
                    data = os.read(fd, _CHUNK)
                except BlockingIOError:
                    continue
                except OSError:
                    data = b""  # EIO: the other end of the terminal is closed
                if data:
                    which = self._outputs[fd]
                    self._count_late(len(data))
                    return which, data
                del self._outputs[fd]
            if self._outputs and not await self._readable():
                self._outputs.clear()
        return None

    def _count_late(self, size: int) -> None:
        """A slow reader gets what the command has left in the pipes, but a grandchild cannot keep it for ever."""
        if self._deadline is not None and asyncio.get_running_loop().time() > self._deadline:
            self._late += size
            if self._late > _LATE:
                self._outputs.clear()

    async def _readable(self) -> bool:
        """Wait until an output can be read; False when the time after the exit is over."""
        loop = asyncio.get_running_loop()
        ready: asyncio.Future[None] = loop.create_future()
        fds = list(self._outputs)
        for fd in fds:
            loop.add_reader(fd, _wake, ready)
        try:
            if self._deadline is None:
                await asyncio.wait((ready, self._exit), return_when=asyncio.FIRST_COMPLETED)
                if ready.done():
                    return True
            left = max(0.0, (self._deadline or loop.time()) - loop.time())
            await asyncio.wait((ready,), timeout=left)
            return ready.done()
        finally:
            for fd in fds:
                loop.remove_reader(fd)

    async def write(self, data: bytes) -> None:
        """Write to stdin, waiting while it is full; dropped when nobody reads."""
        loop = asyncio.get_running_loop()
        view = memoryview(data)
        while view and self._streams.stdin >= 0:
            try:
                view = view[os.write(self._streams.stdin, view) :]
            except BlockingIOError:
                ready: asyncio.Future[None] = loop.create_future()
                fd = self._streams.stdin
                loop.add_writer(fd, _wake, ready)
                try:
                    await asyncio.wait((ready, self._exit), return_when=asyncio.FIRST_COMPLETED)
                finally:
                    loop.remove_writer(fd)
                if self._exit.done():
                    return
            except OSError:
                return

    async def close_stdin(self) -> None:
        """Half-close; a terminal gets an end-of-file character instead. Idempotent."""
        if self._streams.stdin < 0:
            return
        if self._streams.terminal:
            await self.write(b"\x04")
        else:
            os.close(self._streams.stdin)
        self._streams.stdin = -1

    async def resize(self, width: int, height: int) -> None:
        """Resize the terminal; the runtime hears of it by SIGWINCH and resizes the container's."""
        if self._streams.terminal and self._streams.stdout >= 0:
            self._size = pts.pack_size(width, height)
            with contextlib.suppress(OSError):
                fcntl.ioctl(self._streams.stdout, termios.TIOCSWINSZ, self._size)
                self._child.kill(signal.SIGWINCH)
            if self._telling is None:
                self._telling = asyncio.ensure_future(self._set_size())

    async def _set_size(self) -> None:
        """Most clients send a size at once: while the runtime still sets the terminal up it does not hear of it."""
        for pause in _TELL_AGAIN:
            await asyncio.wait((self._exit,), timeout=pause)
            if self._exit.done():
                return
            with contextlib.suppress(OSError, ValueError):
                if pts.set_size(self._pid(), self._size):
                    return

    async def wait(self) -> int:
        """The exit code, 128 + n for signal n."""
        return await asyncio.shield(self._exit)

    async def kill(self) -> None:
        """SIGKILL to the command, its process group and its descendants; the runtime reaps it and exits.

        Killing the runtime, too, would leave a zombie that only the container's first process could reap, which most
        do not do. So that comes last, when the command had not even been started or the runtime hangs.
        """
        with contextlib.suppress(OSError, ValueError):
            pid = self._pid()
            # runc makes the command a group leader, crun does not: its children have to be looked up.
            children = descendants(pid)
            if os.getpgid(pid) == pid:
                os.killpg(pid, signal.SIGKILL)
            for each in (pid, *children):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(each, signal.SIGKILL)
            await self._reaped()
        self._child.kill()

    def _pid(self) -> int:
        """The command's. Raises OSError, ValueError: it has not been started."""
        with open(self._pid_file, encoding="ascii") as f:
            return int(f.read())

    async def _reaped(self) -> None:
        """Wait for the runtime to exit, at most `_REAP` seconds. runc exits only when its last output was taken."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + _REAP
        while not self._exit.done() and loop.time() < deadline:
            for fd in self._outputs:
                with contextlib.suppress(OSError):
                    os.read(fd, _CHUNK)
            await asyncio.wait((self._exit,), timeout=0.01)

    async def close(self) -> None:
        """Kill it when it still runs, and close the streams. Idempotent."""
        if self._child.running:
            await self.kill()
        await self.wait()
        if self._telling is not None:
            self._telling.cancel()
        for fd in {self._streams.stdin, self._streams.stdout, self._streams.stderr} - {-1}:
            os.close(fd)
        self._streams.stdin = self._streams.stdout = self._streams.stderr = -1
        self._outputs.clear()
