"""Starting conmon, and the words it understands afterwards (see conmon(8); facts taken from version 2.1.6).

conmon runs `RUNTIME create`, then tells the container's pid on the sync pipe as one line of JSON, and stays until the
container exits; then it writes the exit code to a file named by the container's id in the exit directory.

The sync pipe is a FIFO in the bundle, which conmon holds open until its own end: so a daemon that is started anew can
tell whether a monitor is still at work, and wait for it.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import re
import signal
from collections.abc import Callable
from typing import BinaryIO

import msgspec

from cricket.errors import DeadlineExceeded, FailedPrecondition, Internal, map_errors
from cricket.kernel.effects import effect
from cricket.kernel.files import remove_file
from cricket.kernel.proc import descendants
from cricket.kernel.process import spawn

_SYNC_FD = 3
_RESIZE, _REOPEN = 1, 2


class MonitorSpec(msgspec.Struct, frozen=True):
    """What conmon needs to know of one container; all paths absolute."""

    container_id: str
    name: str
    bundle: str
    log_path: str
    runtime: str
    runtime_args: tuple[str, ...] = ()
    terminal: bool = False
    stdin: bool = False
    stdin_once: bool = False
    restore: str = ""


class Conmon:
    """The conmon binary with the settings that all containers share."""

    def __init__(self, path: str, exits_dir: str, *, log_size_max: int = -1) -> None:
        self.path, self.exits_dir, self.log_size_max = path, exits_dir, log_size_max

    def argv(self, spec: MonitorSpec) -> list[str]:
        """The command line for one container."""
        argv = [
            self.path, "--full-attach", "--no-sync-log", "--api-version", "1",
            "--cid", spec.container_id, "--cuuid", spec.container_id, "--name", spec.name,
            "--bundle", spec.bundle, "--persist-dir", spec.bundle, "--exit-dir", self.exits_dir,
            "--container-pidfile", pid_file(spec.bundle), "--conmon-pidfile", os.path.join(spec.bundle, "conmon.pid"),
            "--log-path", f"k8s-file:{spec.log_path}", "--log-level", "error",
            "--runtime", spec.runtime,
        ]  # fmt: skip
        argv += [f"--runtime-arg={a}" for a in spec.runtime_args]
        if self.log_size_max > 0:
            argv += ["--log-size-max", str(self.log_size_max)]
        if spec.terminal:
            argv.append("--terminal")
        if spec.stdin:
            argv.append("--stdin")
            if not spec.stdin_once:
                argv.append("--leave-stdin-open")
        # `restore` of a runtime knows nothing of keyrings.
        argv += ["--restore", spec.restore] if spec.restore else ["--no-new-keyring"]
        return argv

    async def create(self, spec: MonitorSpec, *, timeout: float = 120.0) -> int:
        """Start conmon, which creates the container; returns the container's pid.

        Raises Internal with the runtime's own words; then the monitor is gone, but the runtime may have left state
        (delete the container). The log file exists when this returns.
        """
        read_end, write_end = _make_sync(spec.bundle)
        try:
            env = {
                "_OCI_SYNCPIPE": str(_SYNC_FD),
                "PATH": os.environ.get("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"),
                # Not "C": conmon refuses arguments that its locale cannot spell.
                "LC_ALL": "C.UTF-8",
                "TMPDIR": spec.bundle if len(spec.bundle) < 80 else "/tmp",
            }
            if runtime_dir := os.environ.get("XDG_RUNTIME_DIR"):
                env["XDG_RUNTIME_DIR"] = runtime_dir
            with _complaints(spec.bundle) as complaints:
                child = spawn(self.argv(spec), env=env, fds={_SYNC_FD: write_end, 2: complaints.fileno()})
        except BaseException:
            os.close(read_end)
            raise
        finally:
            os.close(write_end)
        effect("start monitor")
        try:
            line, _ = await asyncio.gather(_read_line(read_end, timeout), child.wait())
        except Internal:
            await end(spec.bundle)
            raise
        effect("runtime create")
        return _pid_of(line, spec.bundle, spec.container_id)


def _complaints(bundle: str) -> BinaryIO:
    """The monitor's stderr, until it has become a daemon: what it says when it does not like its arguments."""
    path = os.path.join(bundle, "conmon.err")
    with map_errors(OSError, Internal, "cannot make a file for the monitor", where=path):
        return open(path, "wb")


def _make_sync(bundle: str) -> tuple[int, int]:
    """A new FIFO as (read end, the monitor's end). The latter can be read, too, so that writing never fails."""
    path = _sync(bundle)
    with map_errors(OSError, Internal, "cannot make the monitor's pipe", where=path):
        # An earlier attempt may have left both; the pid file tells `created` that the new one is through.
        remove_file(path)
        remove_file(pid_file(bundle))
        os.mkfifo(path, 0o600)
        read_end = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            return read_end, os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except BaseException:
            os.close(read_end)
            raise


def _sync(bundle: str) -> str:
    return os.path.join(bundle, "sync")


def alive(bundle: str) -> bool:
    """Whether the container's monitor runs; from the moment of its start until after it has written the exit file."""
    try:
        fd = os.open(_sync(bundle), os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        return os.read(fd, 4096) != b""
    except BlockingIOError:
        return True
    finally:
        os.close(fd)


async def created(bundle: str, timeout: float = 120.0) -> None:
    """Wait while a monitor, left by an earlier daemon, is still creating its container. Raises DeadlineExceeded."""
    await _wait(lambda: os.path.exists(pid_file(bundle)) or not alive(bundle), bundle, timeout)


async def gone(bundle: str, timeout: float = 10.0) -> None:
    """Wait for the end of a monitor whose container is dead; at once without one. Raises DeadlineExceeded.

    Afterwards no exit file of it can appear any more.
    """
    await _wait(lambda: not alive(bundle), bundle, timeout)


async def _wait(done: Callable[[], bool], bundle: str, timeout: float) -> None:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + timeout
    # Polled, as this is rare and short: the end of a process that is not our child has no other notice.
    while not done():
        if loop.time() > deadline:
            raise DeadlineExceeded(f"the container's monitor did not get on within {timeout:g} s", where=bundle)
        await asyncio.sleep(0.002)


async def end(bundle: str) -> None:
    """End a monitor that hangs, with the runtime that it waits for. Idempotent; blocks for the time of a kill."""
    try:
        with open(os.path.join(bundle, "conmon.pid"), encoding="ascii") as f:
            pid = int(f.read())
        with open(f"/proc/{pid}/cmdline", "rb") as f:
            ours = os.fsencode(bundle) in f.read().split(b"\0")
    except (OSError, ValueError):
        return
    if ours:
        for each in (*descendants(pid), pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(each, signal.SIGKILL)
        await gone(bundle)


def _pid_of(line: bytes, bundle: str, container_id: str) -> int:
    if not line:
        with contextlib.suppress(OSError), open(os.path.join(bundle, "conmon.err"), "rb") as f:
            words = runtime_message(f.read(2000).decode("utf-8", "replace"))
            raise Internal(f"the monitor could not start: {words or 'it said nothing'}", where=container_id)
        raise Internal("the monitor could not start", where=container_id)
    with map_errors(msgspec.MsgspecError, Internal, f"the monitor said {line[:200]!r}", where=container_id):
        answer = msgspec.json.decode(line, type=dict[str, int | str])
    pid = answer.get("pid", answer.get("data", -1))
    if isinstance(pid, int) and pid > 0:
        return pid
    message = runtime_message(str(answer.get("message", "")))
    raise Internal(message or "the runtime failed without a word", where=container_id)


_LOGFMT = re.compile(r'level=(?:error|fatal) msg="((?:[^"\\]|\\.)*)"')


def runtime_message(text: str) -> str:
    """What crun or runc complained of, freed from time stamps and log levels; the last message counts."""
    found = _LOGFMT.findall(text)
    if found:
        return str(found[-1]).replace('\\"', '"').replace("\\\\", "\\")
    lines = [line for line in text.strip().splitlines() if line.strip()]
    return lines[-1] if lines else ""


async def _read_line(fd: int, timeout: float) -> bytes:
    """Everything up to a newline or the end of the pipe; closes it."""
    loop = asyncio.get_running_loop()
    os.set_blocking(fd, False)
    data = bytearray()
    done: asyncio.Future[None] = loop.create_future()

    def readable() -> None:
        try:
            chunk = os.read(fd, 65536)
        except BlockingIOError:
            return
        data.extend(chunk)
        if (not chunk or b"\n" in chunk or data.rstrip().endswith(b"}")) and not done.done():
            done.set_result(None)

    loop.add_reader(fd, readable)
    try:
        await asyncio.wait_for(done, timeout)
    except TimeoutError as e:
        raise Internal(f"the monitor did not answer within {timeout:g} s") from e
    finally:
        loop.remove_reader(fd)
        os.close(fd)
    return bytes(data)


def pid_file(bundle: str) -> str:
    """Where the container's pid stands."""
    return os.path.join(bundle, "pidfile")


def _control(bundle: str, words: tuple[int, int, int]) -> None:
    path = os.path.join(bundle, "ctl")
    try:
        # Non-blocking: without a reader (the monitor is gone) open fails with ENXIO instead of waiting for ever.
        fd = os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as e:
        if e.errno in (errno.ENXIO, errno.ENOENT):
            raise FailedPrecondition("the container has no monitor any more", where=bundle) from e
        raise Internal("cannot reach the monitor", where=path) from e
    try:
        with map_errors(OSError, Internal, "cannot reach the monitor", where=path):
            os.write(fd, b"%d %d %d\n" % words)
    finally:
        os.close(fd)


def resize(bundle: str, width: int, height: int) -> None:
    """Resize the container's terminal, in characters. Raises FailedPrecondition when the monitor is gone."""
    _control(bundle, (_RESIZE, height, width))


async def reopen_log(bundle: str, log_path: str, *, timeout: float = 10.0) -> None:
    """Have conmon open `log_path` anew; returns when the file is there.

    Raises FailedPrecondition when the monitor or the file's directory is gone, and then creates no file.
    """
    if not os.path.isdir(os.path.dirname(log_path)):
        # conmon would end, and take the container's output and exit code with it.
        raise FailedPrecondition("the directory of the log is gone", where=os.path.dirname(log_path))
    _control(bundle, (_REOPEN, 0, 0))
    deadline = asyncio.get_running_loop().time() + timeout
    # conmon gives no answer; it creates the file when the old one was renamed, and keeps it otherwise.
    while _inode(log_path) is None:
        if asyncio.get_running_loop().time() > deadline:
            raise Internal("the monitor did not reopen the log", where=log_path)
        await asyncio.sleep(0.005)


def _inode(path: str) -> int | None:
    try:
        return os.stat(path).st_ino
    except OSError:
        return None
