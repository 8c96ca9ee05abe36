"""One pod as a kubelet drives it, with the time of each call."""

from __future__ import annotations

import os
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from cricket.bench.target import IMAGE
from cricket.client.connection import Client

Times = dict[str, list[float]]
_NAMESPACES = {"pid": "CONTAINER"}


class Pods:
    """A batch of pods on one runtime; times in seconds by step."""

    def __init__(self, client: Client, base: str, *, command: tuple[str, ...] = ("sleep", "100000")) -> None:
        self._client, self._base, self._command = client, base, command
        self.run_id = uuid.uuid4().hex[:8]
        self.times: Times = {}
        self.made: list[tuple[str, str]] = []
        self._lock = threading.Lock()

    def use(self, client: Client) -> None:
        """Go on with another connection, after the daemon was restarted."""
        self._client = client

    def start(self, count: int, parallel: int) -> float:
        """Start `count` pods, `parallel` at a time; seconds for all of them."""
        began = time.perf_counter()
        with ThreadPoolExecutor(parallel) as pool:
            list(pool.map(self._start_one, range(count)))
        return time.perf_counter() - began

    def stop(self, parallel: int) -> float:
        """Stop and remove them all; seconds."""
        began = time.perf_counter()
        with ThreadPoolExecutor(parallel) as pool:
            list(pool.map(self._stop_one, self.made))
        self.made.clear()
        return time.perf_counter() - began

    def _timed(self, step: str, method: str, **fields: Any) -> Any:
        began = time.perf_counter()
        answer = self._client.call(method, **fields)
        self._add(step, time.perf_counter() - began)
        return answer

    def _add(self, step: str, seconds: float) -> None:
        with self._lock:
            self.times.setdefault(step, []).append(seconds)

    def _start_one(self, number: int) -> None:
        logs = f"{self._base}/logs/{self.run_id}-{number}"
        os.makedirs(logs)
        security = {"namespace_options": _NAMESPACES}
        pod = {
            "metadata": {"name": f"b{number}", "uid": f"{self.run_id}-{number}", "namespace": "bench", "attempt": 0},
            "hostname": f"b{number}",
            "log_directory": logs,
            "labels": {"app": "bench"},
            "linux": {"cgroup_parent": f"/cricket-bench/{self.run_id}", "security_context": security},
        }
        container = {
            "metadata": {"name": "c", "attempt": 0},
            "image": {"image": IMAGE, "user_specified_image": IMAGE},
            "command": self._command,
            "log_path": "c.log",
            "linux": {"security_context": security},
        }
        began = time.perf_counter()
        pod_id = self._timed("RunPodSandbox", "RunPodSandbox", config=pod).pod_sandbox_id
        container_id = self._timed(
            "CreateContainer", "CreateContainer", pod_sandbox_id=pod_id, config=container, sandbox_config=pod
        ).container_id
        self._timed("StartContainer", "StartContainer", container_id=container_id)
        self._add("pod start", time.perf_counter() - began)
        with self._lock:
            self.made.append((pod_id, container_id))

    def _stop_one(self, pod: tuple[str, str]) -> None:
        pod_id, container_id = pod
        began = time.perf_counter()
        self._timed("StopContainer", "StopContainer", container_id=container_id, timeout=0)
        self._timed("StopPodSandbox", "StopPodSandbox", pod_sandbox_id=pod_id)
        self._timed("RemovePodSandbox", "RemovePodSandbox", pod_sandbox_id=pod_id)
        self._add("pod stop", time.perf_counter() - began)
