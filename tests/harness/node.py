"""One node: a daemon with directories, a network and a registry of its own, and short ways to say what tests say."""

from __future__ import annotations

import contextlib
import itertools
import secrets
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

from harness.cri import Cri, CriError
from harness.daemon import DaemonProcess
from harness.leaks import LeakCheck, Left, describe
from harness.network import BIN_DIR, TestNetwork
from harness.registry import Registry

POD, CONTAINER, NODE, TARGET = range(4)
"""NamespaceMode of CRI."""


class Node:
    """Everything in one place. Use `Node.made(...)`, or the fixtures in fixtures.py."""

    def __init__(
        self, directory: Path, network: TestNetwork, registry: Registry | None = None, /, **config: Any
    ) -> None:
        """`directory` is the test's; `config` changes tables of the configuration (`images={"pinned": [...]}`)."""
        self.directory, self.network, self.registry = directory, network, registry
        self.token = f"cricket-test-{secrets.token_hex(4)}"
        self.root, self.state = directory / "root", Path("/run") / self.token  # sockets want short paths
        self.logs = directory / "logs"
        self.socket = f"{self.state}/cricket.sock"
        self.daemon = self._daemon()
        self.daemon.write_config(**config)
        self.leaks = self._leak_check()
        self._serial = itertools.count(1)

    def _daemon(self) -> DaemonProcess:
        registry = self.registry
        settings: dict[str, Any] = {
            "root": str(self.root),
            "state": str(self.state),
            "socket": self.socket,
            "cgroup_driver": "cgroupfs",
            "log": {"level": "info"},
            "network": {"conf_dirs": [str(self.network.conf_dir)], "bin_dirs": [BIN_DIR]},
            "images": {"certs_dirs": [str(registry.certs_dir)] if registry else [], "registries_conf": []},
            "nri": {"enable": False},
        }
        return DaemonProcess(self.directory, settings, self.token)

    def _leak_check(self) -> LeakCheck:
        return LeakCheck(self.root, self.state, self.network, self.token)

    @classmethod
    @contextlib.contextmanager
    def made(cls, directory: Path, *, registry: Registry | None = None, **config: Any) -> Iterator[Self]:
        """A started node, which is swept away at the end."""
        network = TestNetwork(directory / "network")
        node = cls(directory, network, registry, **config)
        try:
            node.daemon.start()
            yield node
        finally:
            node.close()
            network.close()

    @property
    def cri(self) -> Cri:
        """The connection to the running daemon."""
        return self.daemon.cri

    def restart(self, *, kill: bool = False) -> Cri:
        """Stop the daemon (by SIGKILL) and start it again."""
        self.daemon.kill() if kill else self.daemon.stop()
        return self.daemon.start()

    # what tests ask for

    def pod(self, name: str = "", *, attempt: int = 0, **changes: Any) -> dict[str, Any]:
        """A PodSandboxConfig; `changes` replace top-level fields, and are merged into `linux`."""
        name = name or f"pod{next(self._serial)}"
        linux = {"cgroup_parent": f"/{self.token}/{name}", "security_context": {}}
        linux |= changes.pop("linux", {})
        return {
            "metadata": {"name": name, "namespace": "test", "uid": f"uid-{name}", "attempt": attempt},
            "hostname": name,
            "log_directory": str(self.logs / name),
            "linux": linux,
            **changes,
        }

    def container(self, image: str, *command: str, name: str = "c", attempt: int = 0, **changes: Any) -> dict[str, Any]:
        """A ContainerConfig that runs `command`; `changes` replace top-level fields."""
        return {
            "metadata": {"name": name, "attempt": attempt},
            "image": {"image": image},
            "command": list(command),
            "log_path": f"{name}_{attempt}.log",
            "linux": {"security_context": {"namespace_options": {"pid": CONTAINER}}},
            **changes,
        }

    def run_pod(self, config: dict[str, Any] | None = None, handler: str = "") -> str:
        """RunPodSandbox; returns the id."""
        request: dict[str, Any] = {"config": config or self.pod(), "runtime_handler": handler}
        return str(self.cri.call("RunPodSandbox", **request).pod_sandbox_id)

    def create(self, pod_id: str, config: dict[str, Any], pod: dict[str, Any] | None = None) -> str:
        """CreateContainer; returns the id. `pod` is what RunPodSandbox was given; the runtime does not need it."""
        repeated: dict[str, Any] = {"sandbox_config": pod} if pod else {}
        answer = self.cri.call("CreateContainer", pod_sandbox_id=pod_id, config=config, **repeated)
        return str(answer.container_id)

    def start(self, container_id: str) -> None:
        """StartContainer."""
        self.cri.call("StartContainer", container_id=container_id)

    def run(self, pod_id: str, config: dict[str, Any], pod: dict[str, Any] | None = None) -> str:
        """Create and start; returns the id."""
        container_id = self.create(pod_id, config, pod)
        self.start(container_id)
        return container_id

    def pull(self, image: str) -> str:
        """PullImage; returns the image's reference."""
        return str(self.cri.call("PullImage", image={"image": image}).image_ref)

    def status(self, container_id: str) -> Any:
        """The ContainerStatus."""
        return self.cri.call("ContainerStatus", container_id=container_id).status

    def state_of(self, container_id: str) -> str:
        """CONTAINER_CREATED, CONTAINER_RUNNING, CONTAINER_EXITED or CONTAINER_UNKNOWN."""
        status = self.status(container_id)
        return str(status.DESCRIPTOR.fields_by_name["state"].enum_type.values_by_number[status.state].name)

    def pod_status(self, pod_id: str) -> Any:
        """The PodSandboxStatus."""
        return self.cri.call("PodSandboxStatus", pod_sandbox_id=pod_id).status

    def wait_exit(self, container_id: str, timeout: float = 20.0) -> Any:
        """Wait until it is EXITED; returns the ContainerStatus."""
        until(lambda: self.state_of(container_id) == "CONTAINER_EXITED", f"{container_id} does not exit", timeout)
        return self.status(container_id)

    def exec(self, container_id: str, *command: str, timeout: int = 10) -> Any:
        """ExecSync; the response with stdout, stderr, exit_code."""
        return self.cri.call("ExecSync", container_id=container_id, cmd=list(command), timeout=timeout)

    def log_of(self, container_id: str) -> str:
        """The whole CRI log file."""
        return Path(self.status(container_id).log_path).read_text()

    # the end

    def remove_pods(self) -> None:
        """Stop and remove every pod, as the kubelet does."""
        for item in self.cri.call("ListPodSandbox").items:
            self.cri.call("StopPodSandbox", pod_sandbox_id=item.id)
            self.cri.call("RemovePodSandbox", pod_sandbox_id=item.id)
        for item in self.cri.call("ListContainers").containers:
            self.cri.call("RemoveContainer", container_id=item.id)

    def remove_images(self) -> None:
        """Remove every image."""
        for item in self.cri.call("ListImages").images:
            self.cri.call("RemoveImage", image={"image": item.id})

    def left(self, *, images: bool = False) -> Left:
        """What the leak check finds, the daemon itself left out."""
        return self.leaks.left(images=images, ignore_pid=self.daemon.pid)

    def assert_clean(self, what: str = "", *, images: bool = False, timeout: float = 3.0) -> None:
        """Nothing is left; what ends by itself a moment later (a monitor) gets `timeout` seconds."""
        deadline = time.monotonic() + timeout
        while (left := self.left(images=images)) and time.monotonic() < deadline:
            time.sleep(0.02)
        assert not left, f"{what or 'the node'} left behind:\n{describe(left)}\nlog:\n{self.daemon.log()}"

    def close(self) -> None:
        """Remove all pods, stop, and sweep what may be left, so that a failed test harms no other."""
        with contextlib.suppress(AssertionError, CriError, subprocess.TimeoutExpired):
            if not self.daemon.running:
                self.daemon.kill()
                self.daemon.start()
            self.remove_pods()
        self.daemon.kill()
        self.leaks.spared_pod = ""
        deadline = time.monotonic() + 5
        # Until all are gone: a cgroup with a dying process in it cannot be removed.
        while (left := self.leaks.processes()) and time.monotonic() < deadline:
            for line in left:
                with contextlib.suppress(ProcessLookupError):
                    _kill(int(line.split(" ", 1)[0]))
            time.sleep(0.01)
        for point in reversed(self.leaks.mounts()):
            subprocess.run(["umount", "-l", point], check=False, capture_output=True)
        self.leaks.remove_cgroups()
        shutil.rmtree(self.state, ignore_errors=True)
        shutil.rmtree(self.root, ignore_errors=True)


def until(what: Callable[[], object], failure: str, timeout: float = 20.0) -> None:
    """Wait until `what()` is true."""
    deadline = time.monotonic() + timeout
    while not what():
        assert time.monotonic() < deadline, failure
        time.sleep(0.01)


def _kill(pid: int) -> None:
    import os
    import signal

    os.kill(pid, signal.SIGKILL)
