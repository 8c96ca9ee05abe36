"""The host as the checks see it: files below a root (another one in tests), and what is asked once and then kept.

Nothing here changes the host. What may not be read raises `Unseen`; what is not there is empty.
"""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from cricket.cli.configuration import PATH
from cricket.cli.doctor.finding import Unseen
from cricket.cli.doctor.versions import number
from cricket.client.endpoint import socket_path
from cricket.client.errors import UnreachableError
from cricket.errors import CricketError

if TYPE_CHECKING:
    from cricket.cli.doctor.asking import Runtime
    from cricket.cli.doctor.kubelet import Kubelet
    from cricket.cli.doctor.offline import Config, Files, Handler, Known, Networks, Output

_LONGEST = 1 << 20  # the kernel refuses to read a sysctl into 4 MiB


class Mount(NamedTuple):
    """A line of mountinfo; `shared`: mounts made there are seen in other namespaces."""

    point: str
    fstype: str
    source: str
    options: tuple[str, ...]
    super_options: tuple[str, ...]
    shared: bool


class Process(NamedTuple):
    """A process with its command line."""

    pid: int
    argv: tuple[str, ...]

    @property
    def name(self) -> str:
        """The program's file name."""
        return os.path.basename(self.argv[0])


class Host:
    """This host. `endpoint` is where the runtime is asked ("": where the configuration says), `config_path` the file
    that its daemon would read."""

    def __init__(self, endpoint: str, config_path: str, root: str = "", euid: int | None = None) -> None:
        self._endpoint, self.config_path, self._root = endpoint, config_path, root
        self.is_root = (os.geteuid() if euid is None else euid) == 0

    @cached_property
    def endpoint(self) -> str:
        """Where the runtime is asked."""
        from cricket.cli.doctor import offline

        return self._endpoint or f"unix://{(self.files.config or offline.config_of({})).socket}"

    @cached_property
    def socket(self) -> str:
        """The endpoint's path. Raises EndpointError."""
        return socket_path(self.endpoint)

    def at(self, path: str) -> str:
        """Where a path of the host is."""
        return self._root + path

    def read(self, path: str) -> str:
        """A small file's text, "" when there is none. Raises Unseen."""
        try:
            with open(self.at(path), encoding="utf-8", errors="replace") as file:
                return file.read(_LONGEST)
        except PermissionError as error:
            raise Unseen("may not be read", where=path) from error
        except OSError:
            return ""

    def number(self, path: str) -> int | None:
        """A file's first number, None when there is none."""
        words = self.read(path).split()
        return int(words[0]) if words and words[0].lstrip("-").isdigit() else None

    def sysctl(self, name: str) -> int | None:
        """A sysctl that is a number, by its dotted name."""
        return self.number("/proc/sys/" + name.replace(".", "/"))

    def list(self, path: str) -> Sequence[str]:
        """The names in a directory, sorted; none when it is not there. Raises Unseen."""
        try:
            return sorted(os.listdir(self.at(path)))
        except PermissionError as error:
            raise Unseen("may not be read", where=path) from error
        except OSError:
            return ()

    def exists(self, path: str) -> bool:
        """Whether there is such a file or directory."""
        return os.path.exists(self.at(path))

    def which(self, program: str) -> str | None:
        """The program's path, when it is installed."""
        if self._root:
            found = [f"{d}/{program}" for d in ("/usr/bin", "/usr/sbin") if self.exists(f"{d}/{program}")]
            return found[0] if found else None
        # An ordinary user's PATH has no sbin.
        return shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/local/sbin:/usr/sbin:/sbin")

    @cached_property
    def release(self) -> str:
        """The kernel's, as modules are named by it."""
        return self.read("/proc/sys/kernel/osrelease").strip()

    @cached_property
    def kernel(self) -> tuple[int, int]:
        """Major and minor version."""
        version = number(self.release) or (0, 0)
        return version[0], version[1]

    @cached_property
    def mounts(self) -> Sequence[Mount]:
        """The mount table, in the order of mounting."""
        return [_mount(line) for line in self.read("/proc/self/mountinfo").splitlines() if line.count(" ") >= 8]

    def mount_of(self, path: str) -> Mount | None:
        """The mount that holds a path, or that would hold it when it were made."""
        path = os.path.realpath(path)
        holding = [m for m in self.mounts if m.point == "/" or path == m.point or path.startswith(m.point + "/")]
        return max(reversed(holding), key=lambda m: len(m.point), default=None)

    @cached_property
    def processes(self) -> Sequence[Process]:
        """Everything that runs and has a command line."""
        found = []
        for name in os.listdir(self.at("/proc")):
            if name.isdigit() and (line := self.read(f"/proc/{name}/cmdline")):
                found.append(Process(int(name), tuple(line.rstrip("\0").split("\0"))))
        return found

    @cached_property
    def kubelet(self) -> Kubelet:
        """The kubelet of this node. Raises Unseen."""
        from cricket.cli.doctor.kubelet import Kubelet

        return Kubelet(self)

    @cached_property
    def systemd(self) -> bool:
        """Whether systemd is the init (sd_booted(3))."""
        return self.exists("/run/systemd/system")

    @property
    def start(self) -> str:
        """The command that starts the daemon."""
        if self.config_path == PATH and self.exists("/etc/systemd/system/cricket.service"):
            return "systemctl start cricket"
        return "cricket serve" + ("" if self.config_path == PATH else f" --config {shlex.quote(self.config_path)}")

    @cached_property
    def _answer(self) -> Runtime | CricketError:
        from cricket.cli.doctor.asking import ask

        try:
            return ask(self.endpoint)
        except CricketError as error:
            return error

    @property
    def runtime(self) -> Runtime | None:
        """Who answers at the endpoint, None when nobody does."""
        return None if isinstance(self._answer, CricketError) else self._answer

    @property
    def foreign(self) -> str:
        """The name of the runtime that answers when it is not Cricket."""
        return "" if self.runtime is None or self.runtime.config else self.runtime.name

    @property
    def silence(self) -> CricketError | None:
        """Why nobody answers, None when somebody does."""
        return self._answer if isinstance(self._answer, CricketError) else None

    @property
    def forbidden(self) -> bool:
        """Whether somebody may answer, but not to us."""
        silence = self.silence
        return isinstance(silence, UnreachableError) and isinstance(silence.__cause__, PermissionError)

    @cached_property
    def files(self) -> Files:
        """The configuration's files, checked."""
        from cricket.cli.doctor import offline

        return offline.read_config(self.config_path)

    @cached_property
    def config(self) -> Config:
        """The configuration in force: the daemon's own, else that of the files, else the defaults."""
        from cricket.cli.doctor import offline

        runtime = self.runtime
        if runtime is not None and runtime.config:
            return offline.config_of(runtime.config)
        return self.files.config or offline.config_of({})

    @cached_property
    def outputs(self) -> dict[str, Output]:
        """What the programs of `programs.commands` say, all run at once; one that is not installed is not in it."""
        from cricket.cli.doctor import offline, programs

        return offline.run_all(programs.commands(self))

    @cached_property
    def handlers(self) -> dict[str, Handler]:
        """The handlers and what they can do here: what the daemon found, else tried anew. Raises Unseen."""
        from cricket.cli.doctor import offline

        if self.runtime is not None and self.runtime.config:
            return offline.handlers_of(self.runtime.handlers)
        if not self.is_root or self.forbidden:
            raise Unseen("only root may try the OCI runtimes", where="handlers")
        return offline.try_handlers(self.config)

    @cached_property
    def networks(self) -> Networks:
        """The CNI configurations, as the daemon would choose among them. Raises Unseen."""
        from cricket.cli.doctor import offline

        for directory in self.config.network.conf_dirs:
            self.list(directory)
        return offline.networks(self.config)

    @cached_property
    def known(self) -> Known:
        """The pods and containers that the daemon knows, or would know if it ran. Raises Unseen."""
        from cricket.cli.doctor import offline

        if self.runtime is not None and self.runtime.config:
            return offline.Known(self.runtime.sandboxes, self.runtime.containers)
        if not self.is_root:
            raise Unseen("only root may read the daemon's records", where=f"{self.config.root}/state.db")
        return offline.recorded(self.config.root)


def _mount(line: str) -> Mount:
    """A line of mountinfo (proc_pid_mountinfo(5))."""
    before, _, after = line.partition(" - ")
    fields, (fstype, source, super_options) = before.split(" "), after.split(" ")[:3]
    point = fields[4].replace("\\040", " ").replace("\\011", "\t").replace("\\134", "\\")
    shared = any(option.startswith("shared:") for option in fields[6:])
    return Mount(point, fstype, source, tuple(fields[5].split(",")), tuple(super_options.split(",")), shared)
