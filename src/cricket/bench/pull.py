"""PullImage of a large image from a loopback registry: cold, with most layers here, and unchanged."""

from __future__ import annotations

import os
import time

from cricket.bench.registry import Shape
from cricket.bench.target import Target
from cricket.bench.usage import node_cpu_seconds
from cricket.client.connection import Client

COLD, WARM = "bench/large", "bench/large-update"


def pulls(target: Target, address: str, shape: Shape) -> dict[str, float]:
    """Seconds for each kind, and CPU of the whole node for the cold one. The images are removed before and after."""
    cold, warm = f"{address}/{COLD}:1", f"{address}/{WARM}:1"
    with Client(target.endpoint) as client:
        _remove(client, cold, warm)
        os.sync()
        cpu = node_cpu_seconds()
        figures = {"pull, cold s": _pull(client, cold)}
        figures["pull, cold, node CPU s"] = node_cpu_seconds() - cpu
        figures["pull, unchanged ms"] = _pull(client, cold) * 1000
        figures[f"pull, 1 of {shape.layers} layers new s"] = _pull(client, warm)
        _remove(client, cold, warm)
    return figures


def _pull(client: Client, reference: str) -> float:
    began = time.perf_counter()
    client.call("PullImage", image={"image": reference})
    return time.perf_counter() - began


def _remove(client: Client, *references: str) -> None:
    for reference in references:
        client.call("RemoveImage", image={"image": reference})
