"""The pull worker seen from the daemon: started, listened to, and let go or killed."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import sys
from collections.abc import AsyncIterator, Callable

import msgspec

from cricket.errors import CricketError, Internal, InvalidArgument, map_errors
from cricket.images.remote.messages import Message, PullFailure, PullProgress, PullRequest, PullResult, raised
from cricket.kernel.process import spawn

# Without typing_extensions, whose import takes a third of the worker's start, msgspec does with typing.
_WORKER = "import sys; sys.modules['typing_extensions'] = None; import cricket.images.worker as w; w.serve()"
_LINE_MAX = 64 << 20
_STDERR_MAX = 2000
_END = 5.0
_PIPE = 1 << 16  # bytes that a new pipe takes without waiting for a reader
_REQUEST_MAX = 1 << 20  # bytes that one takes at the most


class Workers:
    """Starts workers, each for one pull. When a pull ends, the next worker is started in advance: in a series, as when
    a kubelet looks whether tags have changed, no pull waits for one. It goes when nothing came for `patience` seconds.
    """

    def __init__(self, patience: float = 30.0) -> None:
        self.patience = patience
        self._standby: _Worker | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._ending: set[asyncio.Task[None]] = set()
        self._closed = False

    @contextlib.asynccontextmanager
    async def pull(
        self, request: PullRequest, on_progress: Callable[[PullProgress], None]
    ) -> AsyncIterator[PullResult]:
        """Let a worker pull; the block begins with its result, and its lease lasts until the end of the block.

        Raises the worker's error, and Internal when it cannot be started or dies without a word. Leaving before the
        result, also by cancellation, kills the worker: nothing is lost, the next one goes on from there.
        """
        worker = self._take() or _Worker()
        try:
            worker.ask(request)
            yield await _listen(worker, on_progress)
            worker.let_go()
            self._prepare()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(worker.child.wait(), _END)
        finally:
            await worker.end()

    async def close(self) -> None:
        """End the worker that waits; pulls under way are ended by whoever waits for them. Idempotent."""
        self._closed = True
        self._retire()
        if self._ending:
            await asyncio.wait(self._ending)

    def _take(self) -> _Worker | None:
        worker = self._standby
        if worker is None or not worker.child.running:
            self._retire()
            return None
        self._forget()
        return worker

    def _forget(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._standby = self._timer = None

    def _prepare(self) -> None:
        if self._standby is None and not self._closed:
            # Failing now would be the failure of a pull that is over; the next one tries itself, and tells.
            with contextlib.suppress(CricketError):
                self._standby = _Worker()
                self._timer = asyncio.get_running_loop().call_later(self.patience, self._retire)

    def _retire(self) -> None:
        """End the worker that waits."""
        worker = self._standby
        self._forget()
        if worker is not None:
            task = asyncio.get_running_loop().create_task(worker.end())
            self._ending.add(task)
            task.add_done_callback(self._ending.discard)


class _Worker:
    """A worker process that waits for its request. Raises Internal when it cannot be started."""

    def __init__(self) -> None:
        with (
            map_errors(OSError, Internal, "cannot start a pull worker"),
            contextlib.ExitStack() as passed,
            contextlib.ExitStack() as kept,
        ):
            asked, self._request = _pipe(passed, kept)
            held, self._leash = _pipe(passed, kept)
            output, written = _pipe(kept, passed)
            self.errors = os.memfd_create("pull-stderr", os.MFD_CLOEXEC)
            kept.callback(os.close, self.errors)
            argv = [sys.executable, "-I", "-c", _WORKER]
            self.child = spawn(argv, fds={0: asked, 1: written, 2: self.errors, 3: held})
            self.lines = _Lines(output)
            kept.pop_all()

    def ask(self, request: PullRequest) -> None:
        """Send the request; the pipe takes all of it. That the worker is gone is found out when nothing comes.

        Raises InvalidArgument for credentials that are larger than any are, Internal.
        """
        data = msgspec.json.encode(request)
        if len(data) > _REQUEST_MAX:
            raise InvalidArgument(f"the name and the credentials are larger than {_REQUEST_MAX} bytes", where="auth")
        with map_errors(OSError, Internal, "cannot ask a pull worker"), contextlib.suppress(BrokenPipeError):
            if len(data) > _PIPE:
                fcntl.fcntl(self._request, fcntl.F_SETPIPE_SZ, _REQUEST_MAX)
            os.write(self._request, data)
        os.close(self._request)
        self._request = -1

    def let_go(self) -> None:
        """Tell it that the image is recorded. Idempotent."""
        if self._leash >= 0:
            os.close(self._leash)
            self._leash = -1

    async def end(self) -> None:
        """Kill it, when it still runs, and close everything. Idempotent."""
        self.child.kill()
        await self.child.wait()
        self.let_go()
        self.lines.close()
        for fd in {self._request, self.errors} - {-1}:
            os.close(fd)
        self._request = self.errors = -1


async def _listen(worker: _Worker, on_progress: Callable[[PullProgress], None]) -> PullResult:
    while True:
        line = await worker.lines.next()
        if not line:
            code = await worker.child.wait()
            end = os.fstat(worker.errors).st_size
            said = os.pread(worker.errors, _STDERR_MAX, max(0, end - _STDERR_MAX)).decode("utf-8", "replace").strip()
            raise Internal(f"the pull worker ended with code {code} and no result" + (f": {said}" if said else ""))
        with map_errors(msgspec.DecodeError, Internal, "the pull worker's output is not understood"):
            message: PullProgress | PullResult | PullFailure = msgspec.json.decode(line, type=Message)
        if isinstance(message, PullResult):
            return message
        if isinstance(message, PullFailure):
            raise raised(message)
        on_progress(message)


class _Lines:
    """Lines of a pipe, read as the loop finds them."""

    def __init__(self, fd: int) -> None:
        self._fd, self._rest = fd, bytearray()
        self._queue: asyncio.Queue[bytes | CricketError] = asyncio.Queue()
        os.set_blocking(fd, False)
        asyncio.get_running_loop().add_reader(fd, self._read)

    def _read(self) -> None:
        try:
            data = os.read(self._fd, 1 << 18)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        self._rest += data
        *lines, rest = self._rest.split(b"\n")
        self._rest = bytearray(rest)
        for line in lines:
            self._queue.put_nowait(bytes(line))
        if len(self._rest) > _LINE_MAX:
            self._queue.put_nowait(Internal("the pull worker's output is not understood: a line without end"))
            data = b""
        if not data:
            self.close()
            self._queue.put_nowait(b"")

    async def next(self) -> bytes:
        """The next line, b"" at the end."""
        item = await self._queue.get()
        if isinstance(item, CricketError):
            raise item
        return item

    def close(self) -> None:
        """Idempotent."""
        if self._fd >= 0:
            asyncio.get_running_loop().remove_reader(self._fd)
            os.close(self._fd)
            self._fd = -1


def _pipe(reader: contextlib.ExitStack, writer: contextlib.ExitStack) -> tuple[int, int]:
    """A pipe, whose ends the stacks close."""
    ends = os.pipe2(os.O_CLOEXEC)
    for stack, fd in zip((reader, writer), ends, strict=True):
        stack.callback(os.close, fd)
    return ends
