"""Many clients that do anything to the same few pods at once, while the daemon is killed or not: nothing may be left.

Random, with a seed that is told: a failure that does not come again was still one.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from harness.cri import Cri, CriError
from harness.node import Node

pytestmark = pytest.mark.root
_CLIENTS, _SECONDS = 12, 6.0
_SCRIPTS = ("sleep 1000", "exit 3", "trap '' TERM; sleep 1000", "sleep 0.3")


class _Client:
    """One of those clients."""

    def __init__(self, node: Node, image: str, seed: int, pods: list[tuple[str, str]], containers: list[str]) -> None:
        self.node, self.image, self.random = node, image, random.Random(seed)
        self.cri, self.pods, self.containers = Cri(node.socket), pods, containers
        self.bugs: list[str] = []

    def run(self, end: float) -> None:
        acts: list[Callable[[str, str], None]] = [self.pod, self.create, self.create, self.start, self.start]
        acts += [self.stop, self.exec, self.ask, self.leave, self.remove, self.remove_pod, self.kill]
        while time.monotonic() < end:
            pod = self.random.choice(self.pods)[0] if self.pods else "nosuch"
            container = self.random.choice(self.containers) if self.containers else "nosuch"
            self.random.choice(acts)(pod, container)
        self.cri.close()

    def call(self, method: str, within: float = 60.0, **fields: Any) -> Any:
        try:
            return self.cri.call(method, within=within, **fields)
        except CriError as error:
            if error.code in ("INTERNAL", "UNKNOWN") and "incident" in error.text:
                self.bugs.append(str(error))
            return None

    def pod(self, pod: str, container: str) -> None:
        name, pid = f"r{self.random.randrange(6)}", self.random.choice((0, 1))
        linux = {"security_context": {"namespace_options": {"pid": pid, "network": self.random.choice((0, 2))}}}
        made = self.call("RunPodSandbox", config=self.node.pod(name, attempt=self.random.randrange(3), linux=linux))
        if made is not None:
            self.pods.append((made.pod_sandbox_id, name))
            del self.pods[:-8]

    def create(self, pod: str, container: str) -> None:
        name, script = f"c{self.random.randrange(4)}", self.random.choice(_SCRIPTS)
        config = self.node.container(self.image, "sh", "-c", script, name=name, attempt=self.random.randrange(3))
        made = self.call("CreateContainer", pod_sandbox_id=pod, config=config)
        if made is not None:
            self.containers.append(made.container_id)
            del self.containers[:-16]

    def start(self, pod: str, container: str) -> None:
        self.call("StartContainer", container_id=container)

    def stop(self, pod: str, container: str) -> None:
        self.call("StopContainer", container_id=container, timeout=self.random.randrange(2))

    def exec(self, pod: str, container: str) -> None:
        self.call("ExecSync", container_id=container, cmd=["sleep", self.random.choice(("0.1", "5"))], timeout=1)

    def ask(self, pod: str, container: str) -> None:
        self.call("ListPodSandboxStats")
        self.call("ContainerStatus", container_id=container, verbose=True)
        self.call("UpdateContainerResources", container_id=container, linux={"cpu_shares": 100})
        self.call("ReopenContainerLog", container_id=container)

    def leave(self, pod: str, container: str) -> None:
        """Go away before the answer."""
        self.call("StartContainer", within=self.random.random() * 0.03, container_id=container)
        self.call("StopPodSandbox", within=self.random.random() * 0.03, pod_sandbox_id=pod)

    def remove(self, pod: str, container: str) -> None:
        self.call("RemoveContainer", container_id=container)

    def remove_pod(self, pod: str, container: str) -> None:
        if self.random.random() < 0.5:
            self.call(self.random.choice(("StopPodSandbox", "RemovePodSandbox")), pod_sandbox_id=pod)

    def kill(self, pod: str, container: str) -> None:
        status = self.call("ContainerStatus", container_id=container, verbose=True)
        if status is not None and (pid := json.loads(status.info["info"])["pid"]) > 0:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize("kills", [False, True])
def test_nothing_is_left_of_it(pods: Node, busybox_ref: str, kills: bool) -> None:
    seed = random.SystemRandom().randrange(1 << 32)
    print("seed", seed)
    shared: tuple[list[tuple[str, str]], list[str]] = ([], [])
    clients = [_Client(pods, busybox_ref, seed + n, *shared) for n in range(_CLIENTS)]
    end = time.monotonic() + _SECONDS
    threads = [threading.Thread(target=client.run, args=(end,)) for client in clients]
    for thread in threads:
        thread.start()
    choose = random.Random(seed)
    while kills and time.monotonic() < end:
        time.sleep(choose.uniform(0.2, 1.5))
        pods.restart(kill=choose.random() < 0.8)
    for thread in threads:
        thread.join()
    assert not [bug for client in clients for bug in client.bugs]
    pods.remove_pods()
    pods.assert_clean()
    assert "Traceback" not in pods.daemon.log(1 << 20)
