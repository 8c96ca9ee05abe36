"""The machine's own Cricket: the service of contrib/systemd with its default directories, and short ways to use it."""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import uuid
from pathlib import Path
from typing import Any

from harness.cri import Cri
from harness.node import CONTAINER, until

CHECKOUT = Path(__file__).parents[2]
SOCKET = "/run/cricket/cricket.sock"
CGROUPS = Path("/sys/fs/cgroup")
FOREVER = ("sleep", "1000000")
MIB = 1 << 20
SCOPES = "cri-cricket-*"


class VmNode:
    """Nothing here needs `close`: the machine ends with the tests."""

    def __init__(self) -> None:
        self._cri: Cri | None = None
        self._serial = itertools.count(1)

    @property
    def cri(self) -> Cri:
        """The connection, which gRPC renews when the daemon was restarted."""
        assert self._cri is not None, "connect first"
        return self._cri

    def install(self) -> None:
        """What the README tells an administrator to do."""
        for directory in ("/etc/cni/net.d", "/etc/cricket"):
            os.makedirs(directory, exist_ok=True)
        shutil.copy(CHECKOUT / "contrib/cni/10-cricket.conflist", "/etc/cni/net.d/")
        shutil.copy(CHECKOUT / "contrib/systemd/cricket.service", "/etc/systemd/system/")
        systemctl("daemon-reload")
        systemctl("enable", "--now", "cricket")

    def connect(self) -> None:
        """Wait until the daemon answers."""
        if show("cricket", "ActiveState") not in ("active", "activating"):
            systemctl("start", "cricket")
        if self._cri is not None:
            self._cri.close()
        self._cri = Cri(SOCKET)
        self.cri.call("Version", within=60)

    def cricket(self, *words: str) -> str:
        """Output of the command line client."""
        done = subprocess.run(["/usr/local/bin/cricket", *words], capture_output=True, text=True)
        assert done.returncode == 0, f"cricket {' '.join(words)}: {done.stdout}{done.stderr}"
        return done.stdout

    def pod(self, name: str = "", **linux: Any) -> dict[str, Any]:
        """A PodSandboxConfig as a kubelet with the systemd driver sends it: a burstable pod, its cgroup path style."""
        name = name or f"pod{next(self._serial)}"
        uid = str(uuid.uuid4())
        return {
            "metadata": {"name": name, "namespace": "vm", "uid": uid},
            "hostname": name,
            "log_directory": f"/var/log/pods/vm_{name}_{uid}",
            "linux": {"cgroup_parent": slice_path(uid), "security_context": {}, **linux},
        }

    def container(self, image: str, *command: str, name: str = "c", **changes: Any) -> dict[str, Any]:
        """A ContainerConfig with a PID namespace of its own; `changes` are merged into `linux`."""
        security = {"namespace_options": {"pid": CONTAINER}, **changes.pop("security", {})}
        return {
            "metadata": {"name": name},
            "image": {"image": image},
            "command": list(command),
            "log_path": f"{name}/0.log",
            "linux": {"security_context": security, **changes},
        }

    def run_pod(self, config: dict[str, Any], handler: str = "") -> str:
        """RunPodSandbox; the id."""
        return str(self.cri.call("RunPodSandbox", config=config, runtime_handler=handler, within=120).pod_sandbox_id)

    def run(self, pod_id: str, config: dict[str, Any]) -> str:
        """Create and start; the id."""
        created = self.cri.call("CreateContainer", pod_sandbox_id=pod_id, config=config, within=120)
        self.cri.call("StartContainer", container_id=created.container_id, within=120)
        return str(created.container_id)

    def status(self, container_id: str) -> Any:
        """The ContainerStatus."""
        return self.cri.call("ContainerStatus", container_id=container_id).status

    def state_of(self, container_id: str) -> str:
        """CONTAINER_CREATED, CONTAINER_RUNNING, CONTAINER_EXITED or CONTAINER_UNKNOWN."""
        status = self.status(container_id)
        return str(status.DESCRIPTOR.fields_by_name["state"].enum_type.values_by_number[status.state].name)

    def wait_exit(self, container_id: str, timeout: float = 60.0) -> Any:
        """Wait until it is EXITED; the ContainerStatus."""
        until(lambda: self.state_of(container_id) == "CONTAINER_EXITED", f"{container_id} does not exit", timeout)
        return self.status(container_id)

    def output(self, container_id: str, *command: str) -> str:
        """What a command prints in the container; it must succeed."""
        answer = self.cri.call("ExecSync", container_id=container_id, cmd=list(command), timeout=30)
        assert answer.exit_code == 0, answer.stderr
        return str(answer.stdout.decode())

    def log_of(self, container_id: str) -> str:
        """The whole CRI log file."""
        return Path(self.status(container_id).log_path).read_text()

    def pid(self, container_id: str) -> int:
        """The host's pid of the first process, found as people find it: in the scope of the container."""
        procs = (cgroup_of_container(container_id) / "cgroup.procs").read_text().split()
        return int(procs[0])

    def remove_pods(self) -> None:
        """Stop and remove every pod, as the kubelet does."""
        for item in self.cri.call("ListPodSandbox").items:
            self.cri.call("StopPodSandbox", pod_sandbox_id=item.id, within=120)
            self.cri.call("RemovePodSandbox", pod_sandbox_id=item.id, within=120)

    def assert_clean(self) -> None:
        """No scope, running or failed, no mount of a pod and no network namespace is left."""
        assert not units(SCOPES), "scopes are left"
        mounts = [line.split(" ", 5)[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
        assert not [m for m in mounts if m.startswith(("/run/cricket/", "/var/lib/cricket/"))]
        addresses = Path("/var/lib/cni/networks/cricket")
        assert not [p for p in addresses.glob("*") if p.name != "lock" and not p.name.startswith("last_reserved_ip")]


def systemctl(*words: str) -> str:
    """Output of systemctl, which must succeed."""
    done = subprocess.run(["systemctl", *words], capture_output=True, text=True)
    assert done.returncode == 0, f"systemctl {' '.join(words)}: {done.stdout}{done.stderr}"
    return done.stdout


def show(unit: str, key: str) -> str:
    """A property of a unit."""
    return systemctl("show", "--value", "-p", key, unit).strip()


def units(pattern: str) -> list[str]:
    """Names of all loaded units that match, whatever their state."""
    return [
        line.split()[0] for line in systemctl("list-units", "--all", "--plain", "--no-legend", pattern).splitlines()
    ]


def journal(unit: str, *words: str) -> str:
    """What the unit has logged in this boot; with `--grep` nothing yet is no error."""
    return subprocess.run(
        ["journalctl", "-b", "-o", "cat", "-u", unit, *words], capture_output=True, text=True, check=False
    ).stdout


def slice_path(uid: str) -> str:
    """The cgroup parent of a burstable pod, as the kubelet makes it."""
    return f"/kubepods.slice/kubepods-burstable.slice/{slice_name(uid)}"


def slice_name(uid: str) -> str:
    """The pod's slice."""
    return f"kubepods-burstable-pod{uid.replace('-', '_')}.slice"


def make_slice(name: str, **limits: int) -> None:
    """Make a transient slice with limits (MemoryMax and the like), as the kubelet does before it runs the pod."""
    words = ["call", "org.freedesktop.systemd1", "/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager"]
    words += ["StartTransientUnit", "ssa(sv)a(sa(sv))", name, "replace", str(len(limits))]
    for key, value in limits.items():
        words += [key, "t", str(value)]
    subprocess.run(["busctl", *words, "0"], check=True, capture_output=True)
    until(lambda: show(name, "ActiveState") == "active", f"{name} does not start")


def cgroup_of_scope(object_id: str) -> Path:
    """The directory of a container's or a sandbox init's scope, as systemd tells it."""
    path = show(f"cri-cricket-{object_id}.scope", "ControlGroup")
    assert path, f"systemd knows no scope of {object_id}"
    return CGROUPS / path.lstrip("/")


def cgroup_of_container(container_id: str) -> Path:
    """The directory with the container's processes and limits: crun makes one in the scope, runc takes the scope."""
    scope = cgroup_of_scope(container_id)
    return scope / "container" if (scope / "container").is_dir() else scope


def words_of(path: Path) -> dict[str, str]:
    """A cgroup file of "name value" lines."""
    return dict(line.split(" ", 1) for line in path.read_text().splitlines())
