"""Log throughput: how fast chatty containers get rid of their output through the runtime's log path."""

from __future__ import annotations

import time

from cricket.bench.pods import Pods
from cricket.bench.target import Target
from cricket.client.connection import Client
from cricket.errors import DeadlineExceeded

_LINES = 400_000
_LINE = "0123456789abcdef" * 6
_LIMIT = 120.0


def throughput(target: Target, base: str, containers: int) -> dict[str, float]:
    """MB of raw output per second, of `containers` that write at once. Raises DeadlineExceeded after 120 s."""
    lines = _LINES // containers
    script = f"yes {_LINE} | head -n {lines}"
    with Client(target.endpoint) as client:
        pods = Pods(client, base, command=("sh", "-c", script))
        try:
            began = time.perf_counter()
            pods.start(containers, min(containers, 4))
            _wait(client, pods, began)
            elapsed = time.perf_counter() - began
        finally:
            pods.stop(4)
    size = containers * lines * (len(_LINE) + 1)
    return {f"log throughput, {containers} container{'s' * (containers > 1)} MB/s": size / elapsed / 1e6}


def _wait(client: Client, pods: Pods, began: float) -> None:
    ours = {container for _, container in pods.made}
    while time.perf_counter() - began < _LIMIT:
        states = {c.id: c.state for c in client.call("ListContainers").containers if c.id in ours}
        if all(state == 2 for state in states.values()):
            return
        time.sleep(0.01)
    raise DeadlineExceeded("containers did not finish writing their logs")
