"""Prometheus' text of what the agent knows: under the kubelet's names where the kubelet has them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from cricket.kubelet.agent import Agent

Labels = Mapping[str, str]


def metrics(agent: Agent) -> str:
    """/metrics: pods, containers, calls of the runtime, probes, events."""
    phases = Counter({phase: 0 for phase in ("Pending", "Running", "Succeeded", "Failed")})
    states = Counter[str]()
    restarts, ready = list[tuple[Labels, float]](), list[tuple[Labels, float]]()
    for worker in agent.workers.values():
        meta, status = worker.pod.metadata, worker.status
        phases[status["phase"]] += 1
        states.update(record.state.name.lower() for record in worker.records.containers)
        for container in (*status.get("initContainerStatuses", ()), *status.get("containerStatuses", ())):
            labels = {"namespace": meta.namespace, "pod": meta.name, "container": container["name"]}
            restarts.append((labels, container["restartCount"]))
            ready.append((labels, int(container["ready"])))
    boxes = sum(any(box.ready for box in worker.records.sandboxes) for worker in agent.workers.values())
    reasons = Counter[str]()
    for event in agent.events.all():
        reasons[event.reason] += event.count
    lines = [
        *_metric("kubelet_node_name", "gauge", [({"node": agent.node.name}, 1)]),
        *_metric("kubelet_running_pods", "gauge", [({}, boxes)]),
        *_metric("kubelet_running_containers", "gauge", _by("container_state", states)),
        *_metric("kubelet_runtime_operations_total", "counter", _operations(agent.cri.calls)),
        *_metric("kubelet_runtime_operations_errors_total", "counter", _operations(agent.cri.failures)),
        *_metric("prober_probe_total", "counter", _probes(agent.parts.probed)),
        *_metric("cricket_kubelet_pods", "gauge", _by("phase", phases)),
        *_metric("cricket_kubelet_container_restarts_total", "counter", restarts),
        *_metric("cricket_kubelet_container_ready", "gauge", ready),
        *_metric("cricket_kubelet_events", "gauge", _by("reason", reasons)),
    ]
    return "\n".join(lines) + "\n"


async def resource_metrics(agent: Agent) -> str:
    """/metrics/resource, which a metrics server scrapes: CPU and memory of pods and containers. Raises RemoteError."""
    answer = await agent.cri.call("ListPodSandboxStats", filter={})
    found: dict[str, list[tuple[Labels, float]]] = {name: [] for name in _USAGE}
    for item in answer.stats:
        meta = item.attributes.metadata
        if meta.uid not in agent.workers:
            continue
        labels = {"namespace": meta.namespace, "pod": meta.name}
        _use(found, "pod", labels, item.linux)
        for container in item.linux.containers:
            _use(found, "container", {"container": container.attributes.metadata.name, **labels}, container)
    lines = [line for name, values in found.items() for line in _metric(name, _USAGE[name], values)]
    return "\n".join([*lines, *_metric("resource_scrape_error", "gauge", [({}, 0)])]) + "\n"


_USAGE = {
    "container_cpu_usage_seconds_total": "counter",
    "container_memory_working_set_bytes": "gauge",
    "pod_cpu_usage_seconds_total": "counter",
    "pod_memory_working_set_bytes": "gauge",
}


def _use(found: dict[str, list[tuple[Labels, float]]], of: str, labels: Labels, item: Any) -> None:
    cpu = item.cpu.usage_core_nano_seconds.value / 1e9
    found[f"{of}_cpu_usage_seconds_total"].append((labels, cpu))
    found[f"{of}_memory_working_set_bytes"].append((labels, item.memory.working_set_bytes.value))


def _operations(calls: Mapping[str, int]) -> list[tuple[Labels, float]]:
    """The methods under the kubelet's names: run_podsandbox, list_containers."""
    snake = ((re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower(), count) for name, count in sorted(calls.items()))
    return [({"operation_type": name.replace("pod_sandbox", "podsandbox")}, count) for name, count in snake]


def _probes(probed: Mapping[tuple[str, ...], int]) -> list[tuple[Labels, float]]:
    names = ("probe_type", "result", "namespace", "pod", "container")
    return [(dict(zip(names, key, strict=True)), count) for key, count in sorted(probed.items())]


def _by(name: str, counts: Mapping[str, int]) -> list[tuple[Labels, float]]:
    return [({name: value}, count) for value, count in sorted(counts.items())]


def _metric(name: str, kind: str, values: Iterable[tuple[Labels, float]]) -> list[str]:
    lines = [f"# TYPE {name} {kind}"]
    for labels, value in values:
        shown = ",".join(f'{key}="{_escaped(text)}"' for key, text in labels.items())
        lines.append(f"{name}{{{shown}}} {value:.15g}" if shown else f"{name} {value:.15g}")
    return lines


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
