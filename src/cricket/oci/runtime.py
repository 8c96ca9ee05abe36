"""The command of an OCI runtime (crun, runc and their like): one method for each verb that the engine needs.

The runtime keeps its state of a container in `<root>/<id>`; whether that directory is there is how we know, without
reading error messages, whether the runtime knows the container. `create` is done by the monitor.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence

import msgspec

from cricket.errors import CricketError, FailedPrecondition, Internal, InvalidArgument, NotFound, map_errors
from cricket.kernel.effects import effect
from cricket.kernel.files import remove_tree
from cricket.kernel.process import Result, run
from cricket.oci.inputs import JsonDict
from cricket.oci.messages import last_message

_TIMEOUT = 60.0
_QUICK = 20.0
_CHECKPOINT_TIMEOUT = 600.0


class Runtime:
    """A runtime's binary with its state directory. Every method may raise DeadlineExceeded when the runtime hangs."""

    def __init__(
        self, name: str, path: str, root: str, *, systemd_cgroup: bool = False, extra_args: Sequence[str] = ()
    ) -> None:
        """`name` is the handler's, `path` the binary (without a slash: one in PATH), `root` its state directory."""
        self.name, self.path, self.root = name, path, root
        self.systemd_cgroup = systemd_cgroup
        self.extra_args = tuple(extra_args)

    @property
    def binary(self) -> str:
        """The binary's absolute path. Raises FailedPrecondition when it is not installed."""
        found = shutil.which(self.path)
        if found is None:
            raise FailedPrecondition(f"the runtime {self.path} is not installed", where=f"handler {self.name}")
        return os.path.abspath(found)

    @property
    def global_args(self) -> tuple[str, ...]:
        """Arguments before the verb, for the monitor too."""
        systemd = ("--systemd-cgroup",) if self.systemd_cgroup else ()
        return (f"--root={self.root}", *systemd, *self.extra_args)

    def argv(self, *words: str) -> list[str]:
        """A command line with errors as JSON lines on stderr."""
        return [self.binary, *self.global_args, "--log-format=json", *words]

    def exists(self, container_id: str) -> bool:
        """Whether the runtime has state of this container. Raises InvalidArgument for what is no id."""
        if not container_id or "/" in container_id or container_id.startswith((".", "-")) or "\0" in container_id:
            raise InvalidArgument(f"{container_id[:100]!r} is no id")
        return os.path.isdir(os.path.join(self.root, container_id))

    async def run_detached(self, container_id: str, bundle: str, pid_file: str) -> None:
        """Create and start a container without a monitor; its pid is in `pid_file` afterwards. Raises Internal.

        Its output goes nowhere: a pipe would be held open, and waited for, as long as the container lives.
        """
        log = f"{pid_file}.log"
        words = [f"--log={log}", "run", "--detach", f"--bundle={bundle}", f"--pid-file={pid_file}", container_id]
        with open(os.devnull, "wb") as null:
            result = await run(self.argv(*words), timeout=_TIMEOUT, fds={1: null.fileno(), 2: null.fileno()})
        effect("runtime run")
        if result.code:
            raise self._failure("run", container_id, Result(result.code, b"", _read(log)))

    async def start(self, container_id: str) -> None:
        """Start a created container. Raises NotFound, Internal with the runtime's own words."""
        await self._verb("start", container_id)
        effect("runtime start")

    async def kill(self, container_id: str, signal: int, *, all_processes: bool = False) -> None:
        """Send a signal to the first process, or to all. A container that has exited or is gone is no error."""
        if not self.exists(container_id):
            return
        words = ["kill", *(["--all"] if all_processes else []), container_id, str(signal)]
        result = await run(self.argv(*words), timeout=_QUICK)
        if result.code and await self._status(container_id) not in ("stopped", ""):
            raise self._failure("signal", container_id, result)
        effect("runtime kill")

    async def delete(self, container_id: str, *, force: bool = False) -> None:
        """Remove the runtime's state and the cgroup; `force` kills first. Idempotent.

        Raises FailedPrecondition for a running container without `force`, Internal. State that the runtime cannot read
        (a crash in the middle of create) is removed too.
        """
        if not self.exists(container_id):
            return
        result = await run(self.argv("delete", *(["--force"] if force else []), container_id), timeout=_TIMEOUT)
        if self.exists(container_id):
            status = await self._status(container_id)
            if not force and status not in ("stopped", ""):
                raise FailedPrecondition(f"the container is {status}", where=container_id)
            if status:
                raise self._failure("delete", container_id, result)
            remove_tree(os.path.join(self.root, container_id))
        effect("runtime delete")

    async def state(self, container_id: str) -> JsonDict | None:
        """OCI state: status ("created", "running", "paused", "stopped"), pid, bundle ...; None when it is unknown.

        Raises Internal when the runtime cannot read its state.
        """
        if not self.exists(container_id):
            return None
        result = await run(self.argv("state", container_id), timeout=_QUICK)
        if result.code:
            if not self.exists(container_id):
                return None
            raise self._failure("read the state of", container_id, result)
        with map_errors(msgspec.MsgspecError, Internal, f"{self.path} state gave no JSON", where=container_id):
            return msgspec.json.decode(result.stdout, type=JsonDict)

    async def update(self, container_id: str, resources: JsonDict) -> None:
        """Set limits (OCI `linux.resources`) of a created or running container. Raises NotFound, Internal."""
        await self._verb("update", container_id, "--resources=/dev/stdin", stdin=msgspec.json.encode(resources))
        effect("runtime update")

    async def pause(self, container_id: str) -> None:
        """Freeze every process. Raises NotFound, Internal."""
        await self._verb("pause", container_id)

    async def resume(self, container_id: str) -> None:
        """Thaw every process. Raises NotFound, Internal."""
        await self._verb("resume", container_id)

    async def checkpoint(
        self,
        container_id: str,
        image_path: str,
        work_path: str,
        *,
        leave_running: bool = True,
        tcp_established: bool = False,
        timeout: float = _CHECKPOINT_TIMEOUT,
    ) -> None:
        """Write the processes' state to `image_path` by CRIU, with its log in `work_path`; both directories exist.

        Raises NotFound, Internal (CRIU's own words are in its log), DeadlineExceeded after `timeout` seconds.
        """
        options = [f"--image-path={image_path}", f"--work-path={work_path}", "--file-locks"]
        options += ["--leave-running"] if leave_running else []
        options += ["--tcp-established"] if tcp_established else []
        await self._verb("checkpoint", container_id, *options, timeout=timeout)

    def exec_argv(
        self,
        container_id: str,
        process_json: str,
        pid_file: str,
        *,
        console_socket: str | None = None,
        detach: bool = False,
    ) -> list[str]:
        """The command that runs one more process (`process_json`: path of an OCI process) in a container.

        Without `detach` it stays, hands its stdio to the process and exits with its code. With a terminal,
        `console_socket` receives the terminal's master.
        """
        words = ["exec", f"--process={process_json}", f"--pid-file={pid_file}"]
        words += [f"--console-socket={console_socket}"] if console_socket else []
        words += ["--detach"] if detach else []
        # Plain words on stderr: they reach the user of exec as they are.
        return [self.binary, *self.global_args, *words, container_id]

    async def _verb(
        self, verb: str, container_id: str, *options: str, stdin: bytes | None = None, timeout: float = _TIMEOUT
    ) -> None:
        if not self.exists(container_id):
            raise NotFound(f"{self.name} does not know the container", where=container_id)
        result = await run(self.argv(verb, *options, container_id), stdin=stdin, timeout=timeout)
        if result.code:
            raise self._failure(verb, container_id, result)

    async def _status(self, container_id: str) -> str:
        """The status, "" when the container is unknown or its state unreadable."""
        try:
            state = await self.state(container_id)
        except CricketError:
            return ""
        return str(state.get("status", "")) if state is not None else ""

    def _failure(self, verb: str, container_id: str, result: Result) -> Internal:
        words = last_message(result.stderr or result.stdout) or f"it exited with code {result.code} without a word"
        return Internal(f"{os.path.basename(self.path)} could not {verb} the container: {words}", where=container_id)


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as f:
            return f.read()
    except OSError:
        return b""
