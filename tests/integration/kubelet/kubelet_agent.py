"""`cricket kubelet` as a process, with a folder to put manifests into and its API to ask."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from harness.node import Node, until

_MAIN = "import sys; from cricket.cli.main import main; sys.exit(main())"
Json = dict[str, Any]


class AgentProcess:
    """Started, stopped, killed and started again, each time on the same directories. IMAGE in a manifest stands for
    the busybox image."""

    def __init__(self, directory: Path, runtime: str, cgroup_root: str, token: str, image: str, *options: str) -> None:
        self.directory, self.image, self.token, self.options = directory, image, token, options
        self.folder, self.root, self.logs = directory / "manifests", directory / "root", directory / "pods"
        self.folder.mkdir()
        self.socket = f"/run/{token}/agent.sock"
        self.runtime, self.cgroup_root = runtime, cgroup_root
        self._process: subprocess.Popen[bytes] | None = None

    # the process

    def start(self, *options: str) -> None:
        """Start and wait until the API answers."""
        words = ["kubelet", "-r", f"unix://{self.runtime}", "--manifests", str(self.folder), "--name", self.token]
        words += ["--root", str(self.root), "--log-root", str(self.logs), "--cgroup-root", self.cgroup_root]
        words += ["--api-socket", self.socket, "--node-name", "testnode", *self.options, *options]
        env = {k: v for k, v in os.environ.items() if not k.startswith(("CRICKET_", "PYTEST_", "GRPC_"))}
        with open(self.directory / "agent.log", "ab") as log:
            self._process = subprocess.Popen([sys.executable, "-c", _MAIN, *words], env=env, stdout=log, stderr=log)
        until(self._answers, "the agent does not answer")

    def _answers(self) -> bool:
        assert self._process is not None and self._process.poll() is None, self.log()
        with contextlib.suppress(OSError, ValueError):
            return self.ask("/healthz") == "ok"
        return False

    def stop(self) -> int:
        """SIGTERM; the pods go on."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(20)

    def kill(self) -> None:
        """SIGKILL. Idempotent."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def log(self) -> str:
        return (self.directory / "agent.log").read_text()[-6000:]

    # manifests

    def put(self, text: str, name: str = "pod.yaml") -> None:
        """Write a manifest."""
        path = self.folder / name
        path.with_suffix(".new").write_text(textwrap.dedent(text).replace("IMAGE", self.image))
        path.with_suffix(".new").rename(path)

    def drop(self, name: str = "pod.yaml") -> None:
        (self.folder / name).unlink()

    def end_pods(self) -> None:
        """Remove all manifests and wait until all pods are gone."""
        for path in self.folder.iterdir():
            path.unlink()
        until(lambda: not self.ask("/pods")["items"], "pods are not ended", 40)

    def left(self) -> list[str]:
        """Files, mounts and cgroups of pods that are gone."""
        found = [str(path) for path in (self.root / "pods").glob("*")]
        found += [str(path) for path in (self.root / "agent").glob("*")] + [str(p) for p in self.logs.glob("*")]
        mounts = [line.split(" ", 5)[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
        found += [point for point in mounts if point.startswith(f"{self.directory}/")]
        bases = (Path("/sys/fs/cgroup"), *Path("/sys/fs/cgroup").iterdir())
        return found + [str(p) for base in bases for p in base.glob(f"{self.cgroup_root.strip('/')}/**/*pod*-*")]

    # what it says

    def ask(self, path: str) -> Any:
        connection = http.client.HTTPConnection("localhost")
        connection.sock = socket.socket(socket.AF_UNIX)
        with contextlib.closing(connection):
            connection.sock.settimeout(10)
            connection.sock.connect(self.socket)
            connection.request("GET", path)
            answer = connection.getresponse()
            body = answer.read()
            assert answer.status == 200, (path, answer.status, body)
            return json.loads(body) if "json" in answer.headers["Content-Type"] else body.decode()

    def pod(self, name: str = "web") -> Json:
        """A pod's status; {} when there is none."""
        pods = [pod for pod in self.ask("/pods")["items"] if pod["metadata"]["name"] == name]
        return {**pods[0]["status"], "uid": pods[0]["metadata"]["uid"]} if pods else {}

    def container(self, container: str, name: str = "web") -> Json:
        status = self.pod(name)
        statuses = [*status.get("initContainerStatuses", ()), *status.get("containerStatuses", ())]
        return next((c for c in statuses if c["name"] == container), {})

    def told(self) -> list[str]:
        """Events and statuses, for people."""
        with contextlib.suppress(OSError, ValueError, AssertionError):
            events = [f"{e['reason']}: {e['message']}" for e in self.ask("/events")["items"]]
            return events + [json.dumps(pod["status"]) for pod in self.ask("/pods")["items"]]
        return []

    def reasons(self) -> list[str]:
        """The reasons of all events, oldest first."""
        return [event["reason"] for event in self.ask("/events")["items"]]

    def messages(self, reason: str) -> list[str]:
        return [event["message"] for event in self.ask("/events")["items"] if event["reason"] == reason]

    def wait_phase(self, phase: str, name: str = "web", timeout: float = 20.0) -> Json:
        """Wait for a phase; returns the status."""
        until(lambda: self.pod(name).get("phase") == phase, f"not {phase}", timeout)
        return self.pod(name)

    def wait_ready(self, name: str = "web", timeout: float = 20.0) -> Json:
        """Wait until the pod is ready; returns the status."""
        until(lambda: _ready(self.pod(name)), "not ready", timeout)
        return self.pod(name)

    def wait_waiting(self, container: str, reason: str, timeout: float = 20.0) -> Json:
        """Wait until a container waits for this reason; returns its status."""

        def waits() -> bool:
            return self.container(container)["state"].get("waiting", {}).get("reason") == reason

        until(lambda: self.pod() and waits(), f"{container} does not wait with {reason}", timeout)
        return self.container(container)

    def output(self, container: str, name: str = "web") -> str:
        """What a container has written, over all of its lives, without time stamps."""
        text = "".join(path.read_text() for path in sorted(self.logs.glob(f"*_{name}_*/{container}/*.log")))
        return "".join(line.split(" ", 3)[3] + "\n" for line in text.splitlines())


def _ready(status: Json) -> bool:
    return any(c["type"] == "Ready" and c["status"] == "True" for c in status.get("conditions", ()))


@contextlib.contextmanager
def agent_on(node: Node, image: str, directory: Path, *options: str) -> Iterator[AgentProcess]:
    """An agent with an empty folder of manifests; after the test its pods are ended by it and nothing is left.
    `options` are those of `cricket kubelet`, for all of its lives."""
    directory.mkdir(exist_ok=True)
    made = AgentProcess(directory, node.socket, f"/{node.token}", node.token, image, *options)
    try:
        made.start()
        yield made
        print(made.log(), *made.told(), sep="\n")  # for failures
        made.end_pods()
        with contextlib.suppress(AssertionError):  # what agents before have left goes a moment after the start
            until(lambda: not made.left(), "", 5)
        made.stop()
        assert not made.left(), made.left()
        node.assert_clean("the agent")
    finally:
        made.kill()
        node.remove_pods()
