"""Spawning: posix_spawn (vfork semantics) and a pidfd watched by the event loop; no thread and no SIGCHLD handler."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import signal
from collections.abc import Iterator, Mapping, Sequence

import msgspec

from cricket.errors import DeadlineExceeded, Internal, ResourceExhausted
from cricket.types.metrics import REGISTRY

# The number under which children of `run` inherit the daemon's lock (children.py): above those that scripts use.
_HEIRLOOM = 60
_heirloom = -1
_REAP = 10.0  # seconds that a killed process has to end; one that hangs in the kernel is left to its fate
_EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.EAGAIN, errno.ENOMEM)
_spawned = REGISTRY.counter("cricket_processes_total", "Processes started by the daemon.", ("program",))
_SPAWN_SIGNALS = [signal.SIGPIPE, signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD]


class Result(msgspec.Struct, frozen=True):
    """Outcome of a process: exit code (128 + n when signal n ended it) and its output."""

    code: int
    stdout: bytes
    stderr: bytes

    @property
    def error_text(self) -> str:
        """The last 2000 characters of stderr (of stdout when that is empty), for an error message."""
        return (self.stderr or self.stdout).decode("utf-8", "replace").strip()[-2000:]


class Child:
    """A child process with its pidfd. `wait()` may be awaited by several tasks."""

    def __init__(self, pid: int) -> None:
        """Takes over the child `pid`. Raises OSError when there is no descriptor for it; then the child is dead."""
        self.pid = pid
        try:
            self._pidfd = os.pidfd_open(pid)
        except OSError:
            # Nobody could wait for it or stop it: better no process than one that is nobody's.
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            raise
        self._exit: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().add_reader(self._pidfd, self._reap)

    def _reap(self) -> None:
        asyncio.get_running_loop().remove_reader(self._pidfd)
        os.close(self._pidfd)
        try:
            _, status = os.waitpid(self.pid, 0)
            code = os.waitstatus_to_exitcode(status)
        except ChildProcessError:
            code = 255
        if not self._exit.done():
            self._exit.set_result(code if code >= 0 else 128 - code)

    @property
    def running(self) -> bool:
        """False as soon as the exit was seen."""
        return not self._exit.done()

    async def wait(self) -> int:
        """The exit code, 128 + n for signal n."""
        return await asyncio.shield(self._exit)

    def kill(self, sig: int = signal.SIGKILL) -> None:
        """Send a signal; nothing happens when it has exited."""
        if self.running:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._pidfd, sig)


def spawn(
    argv: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    fds: Mapping[int, int] | None = None,
    setsid: bool = False,
) -> Child:
    """Start `argv` (argv[0] is looked up in PATH). `fds` maps the child's descriptor numbers to ours.

    Descriptors 0 to 2 default to /dev/null (stderr included). Every other descriptor of ours must be close-on-exec,
    which is Python's default. Raises Internal when the program cannot be started, ResourceExhausted when there are too
    many files or processes.
    """
    fds = dict(fds or {})
    actions: list[tuple[int, ...] | tuple[int, int, str, int, int]] = []
    # A source that is also the target of another action must not be overwritten before it is copied: move those up.
    high: dict[int, int] = {}
    with _starting(argv[0]), contextlib.ExitStack() as stack:
        for source in set(fds.values()):
            if source in fds and fds[source] != source:
                high[source] = os.dup(source)
                stack.callback(os.close, high[source])
        for number in (0, 1, 2):
            if number not in fds:
                flags = os.O_RDONLY if number == 0 else os.O_WRONLY
                actions.append((os.POSIX_SPAWN_OPEN, number, "/dev/null", flags, 0))
        for number, source in fds.items():
            actions.append((os.POSIX_SPAWN_DUP2, high.get(source, source), number))
        pid = os.posix_spawnp(
            argv[0],
            list(argv),
            dict(env if env is not None else os.environ),
            file_actions=actions,
            setsigmask=[],
            setsigdef=_SPAWN_SIGNALS,
            setsid=setsid,
        )
        _spawned.inc(os.path.basename(argv[0]))
        return Child(pid)


@contextlib.contextmanager
def _starting(program: str) -> Iterator[None]:
    try:
        yield
    except OSError as e:
        if e.errno in _EXHAUSTED:
            todo = "The daemon, or the node, has no file descriptors, processes or memory left"
            raise ResourceExhausted(f"cannot start {program}", todo=todo) from e
        raise Internal(f"cannot start {program}", todo="Is the program installed and in PATH?") from e


class _Pump:
    """Reads a pipe to its end, or to `limit` bytes (the rest is read and dropped)."""

    def __init__(self, fd: int, limit: int) -> None:
        self.fd, self.limit, self.size = fd, limit, 0
        self.chunks: list[bytes] = []
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        os.set_blocking(fd, False)
        asyncio.get_running_loop().add_reader(fd, self._read)

    def _read(self) -> None:
        try:
            data = os.read(self.fd, 65536)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.close()
            return
        if self.size < self.limit:
            self.chunks.append(data[: self.limit - self.size])
        self.size += len(data)

    def close(self) -> None:
        if not self.done.done():
            asyncio.get_running_loop().remove_reader(self.fd)
            os.close(self.fd)
            self.done.set_result(None)

    def value(self) -> bytes:
        return b"".join(self.chunks)


async def _feed(fd: int, data: bytes) -> None:
    """Write all of `data` to a pipe without blocking the loop, then close it; a reader that went away is no error."""
    loop = asyncio.get_running_loop()
    os.set_blocking(fd, False)
    view = memoryview(data)
    try:
        while view:
            try:
                view = view[os.write(fd, view) :]
            except BlockingIOError:
                ready: asyncio.Future[None] = loop.create_future()
                loop.add_writer(fd, ready.set_result, None)
                try:
                    await ready
                finally:
                    loop.remove_writer(fd)
            except OSError:
                return
    finally:
        os.close(fd)


def bequeath(fd: int) -> None:
    """Have every child of `run` inherit `fd` from now on; see children.py."""
    global _heirloom
    _heirloom = fd


async def run(
    argv: Sequence[str],
    *,
    stdin: bytes | None = None,
    env: Mapping[str, str] | None = None,
    timeout: float | None = None,
    limit: int = 16 << 20,
    drain: float = 1.0,
    fds: Mapping[int, int] | None = None,
    survivors: bool = False,
) -> Result:
    """Run a process to its end and collect its output, at most `limit` bytes of each stream.

    After the exit the pipes are read for `drain` more seconds, as a grandchild may hold them open. On `timeout`
    (seconds) or cancellation the process is killed; timeout raises DeadlineExceeded. A non-zero exit is no error here.
    `survivors`: it leaves processes behind, for which no later daemon waits (see children.py). Raises as `spawn`.
    """
    pipes: list[int] = []
    try:
        with _starting(argv[0]):
            for _ in range(2 if stdin is None else 3):
                pipes += os.pipe2(os.O_CLOEXEC)
        out_r, out_w, err_r, err_w, *third = pipes
        in_r, in_w = third or (-1, -1)
        extra = {1: out_w, 2: err_w, **(fds or {})}
        if _heirloom >= 0 and not survivors:
            extra[_HEIRLOOM] = _heirloom
        if stdin is not None:
            extra[0] = in_r
        child = spawn(argv, env=env, fds=extra)
    except BaseException:
        for fd in pipes:
            os.close(fd)
        raise
    for fd in pipes[1::2] if stdin is None else (out_w, err_w, in_r):
        os.close(fd)
    out, err = _Pump(out_r, limit), _Pump(err_r, limit)
    feeder = asyncio.ensure_future(_feed(in_w, stdin)) if stdin is not None else None
    try:
        code = await asyncio.wait_for(child.wait(), timeout)
        await asyncio.wait([out.done, err.done], timeout=drain)
    except TimeoutError as e:
        raise DeadlineExceeded(f"{os.path.basename(argv[0])} did not finish in {timeout:g} s") from e
    finally:
        if child.running:
            child.kill()
            await asyncio.wait((asyncio.ensure_future(child.wait()),), timeout=_REAP)
        if feeder is not None:
            feeder.cancel()
            await asyncio.wait([feeder])
        out.close()
        err.close()
    return Result(code, out.value(), err.value())
