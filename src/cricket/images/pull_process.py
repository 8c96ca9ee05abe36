"""The pull worker seen from the daemon: started, listened to, and let go or killed."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator, Callable

import msgspec

from cricket.errors import CricketError, Internal, map_errors
from cricket.images.remote.messages import Message, PullFailure, PullProgress, PullRequest, PullResult, raised
from cricket.kernel.process import Child, spawn

# Without typing_extensions, whose import takes a third of the worker's start, msgspec does with typing.
_WORKER = "import sys; sys.modules['typing_extensions'] = None; import cricket.images.worker as w; w.serve()"
_LINE_MAX = 64 << 20
_STDERR_MAX = 2000
_END = 5.0


@contextlib.asynccontextmanager
async def pull_process(request: PullRequest, on_progress: Callable[[PullProgress], None]) -> AsyncIterator[PullResult]:
    """Run a worker; the block begins with its result, and its lease lasts until the end of the block.

    Raises the worker's error, and Internal when it cannot be started or dies without a word. Leaving before the result,
    also by cancellation, kills the worker: nothing is lost, the next one goes on from there.
    """
    with contextlib.ExitStack() as stack:
        child, leash, lines, errors = _start(request, stack)
        try:
            yield await _listen(child, lines, errors, on_progress)
            leash.close()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(child.wait(), _END)
        finally:
            child.kill()
            await child.wait()


def _start(request: PullRequest, stack: contextlib.ExitStack) -> tuple[Child, contextlib.ExitStack, _Lines, int]:
    """(process, leash, its output, its stderr as a file). What must stay open while it works is closed by `stack`."""
    with map_errors(OSError, Internal, "cannot start a pull worker"), contextlib.ExitStack() as passed:
        held, leash = _pipe()
        loose = stack.enter_context(contextlib.ExitStack())
        loose.callback(os.close, leash)
        passed.callback(os.close, held)
        output, written = _pipe()
        lines = _Lines(output)
        stack.callback(lines.close)
        passed.callback(os.close, written)
        asked = os.memfd_create("pull-request", os.MFD_CLOEXEC)
        passed.callback(os.close, asked)
        os.write(asked, msgspec.json.encode(request))
        os.lseek(asked, 0, os.SEEK_SET)
        errors = os.memfd_create("pull-stderr", os.MFD_CLOEXEC)
        stack.callback(os.close, errors)
        return (
            spawn([sys.executable, "-I", "-c", _WORKER], fds={0: asked, 1: written, 2: errors, 3: held}),
            loose,
            lines,
            errors,
        )


async def _listen(child: Child, lines: _Lines, errors: int, on_progress: Callable[[PullProgress], None]) -> PullResult:
    while True:
        line = await lines.next()
        if not line:
            code = await child.wait()
            end = os.fstat(errors).st_size
            said = os.pread(errors, _STDERR_MAX, max(0, end - _STDERR_MAX)).decode("utf-8", "replace").strip()
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


def _pipe() -> tuple[int, int]:
    return os.pipe2(os.O_CLOEXEC)
