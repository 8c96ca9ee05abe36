"""The figures of one runtime in one round."""

from __future__ import annotations

import contextlib
import statistics
import time

from cricket.bench.pods import Pods
from cricket.bench.target import Target
from cricket.bench.usage import cpu_seconds, node_cpu_seconds, processes, pss_mib
from cricket.client.connection import Client
from cricket.client.errors import RemoteError

Figures = dict[str, float]
_SETTLE = 1.0


def percentile(values: list[float], fraction: float) -> float:
    """Nearest-rank percentile."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(fraction * len(ordered)))]


def series(target: Target, base: str, count: int, parallel: int, idle: float) -> Figures:
    """Start and stop `count` pods, `parallel` at a time, with what they cost; `idle` seconds of polled rest between.

    Latencies in ms, CPU in ms per pod, memory in MiB, CPU at rest in percent of one core.
    """
    with Client(target.endpoint) as client:
        pods = Pods(client, base)
        rest = pss_mib(processes(target.pattern))
        before, node_before = cpu_seconds(processes(target.pattern)), node_cpu_seconds()
        try:
            up = pods.start(count, parallel)
            running = processes(target.pattern)
            used, node_used = cpu_seconds(running) - before, node_cpu_seconds() - node_before
            time.sleep(_SETTLE)
            memory = pss_mib(running)
            polled = _polled(client, running, idle) if idle else {}
            exec_ms = _exec(client, pods.made[0][1])
        finally:
            down = pods.stop(parallel)
    tag = f"p{parallel} " if parallel > 1 else ""
    figures = {f"{tag}{step} p{p} ms": percentile(v, p / 100) * 1000 for step, v in pods.times.items() for p in (50,)}
    for step in ("pod start", "pod stop"):
        figures[f"{tag}{step} p95 ms"] = percentile(pods.times[step], 0.95) * 1000
        figures[f"{tag}{step} p99 ms"] = percentile(pods.times[step], 0.99) * 1000
    figures |= {f"{tag}pods started per s": count / up, f"{tag}pods stopped per s": count / down}
    if parallel == 1:
        figures |= {
            "runtime CPU per pod start ms": used / count * 1000,
            "node CPU per pod start ms": node_used / count * 1000,
            "memory at rest MiB": rest,
            "memory per pod MiB": (memory - rest) / count,
            f"memory at {count} pods MiB": memory,
            "ExecSync p50 ms": exec_ms,
        }
        figures |= polled
    return figures


def _polled(client: Client, running: list[int], seconds: float) -> Figures:
    """Poll as a kubelet does: lists every second, stats every ten."""
    before, began, latencies, tick = cpu_seconds(running), time.perf_counter(), [], 0
    while time.perf_counter() - began < seconds:
        started = time.perf_counter()
        client.call("ListPodSandbox")
        client.call("ListContainers")
        latencies.append(time.perf_counter() - started)
        if tick % 10 == 0:
            client.call("ListContainerStats")
            client.call("ListImages")
            client.call("Status")
            with contextlib.suppress(RemoteError):  # containerd 1.6 has none
                client.call("ListPodSandboxStats")
        tick += 1
        time.sleep(max(0.0, 1 - (time.perf_counter() - started)))
    elapsed = time.perf_counter() - began
    return {
        "CPU at rest, polled %": (cpu_seconds(running) - before) / elapsed * 100,
        "ListPodSandbox + ListContainers p50 ms": statistics.median(latencies) * 1000,
    }


def _exec(client: Client, container_id: str) -> float:
    times = []
    for _ in range(15):
        began = time.perf_counter()
        client.call("ExecSync", container_id=container_id, cmd=["true"], timeout=10)
        times.append(time.perf_counter() - began)
    return statistics.median(times) * 1000


def restart(target: Target, base: str, count: int) -> Figures:
    """Seconds from exec of the daemon to its first answer, with no pods and with `count`."""
    if target.restart is None:
        return {}
    figures = {"daemon start, 0 pods ms": target.restart() * 1000}
    with Client(target.endpoint) as client:
        pods = Pods(client, base)
        pods.start(count, 4)
    figures[f"daemon start, {count} pods ms"] = target.restart() * 1000
    with Client(target.endpoint) as client:
        pods.use(client)
        pods.stop(4)
    return figures
