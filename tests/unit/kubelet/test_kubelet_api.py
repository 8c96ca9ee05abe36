"""What the agent's API is asked and what it tells, without a runtime."""

from __future__ import annotations

from collections import Counter
from types import SimpleNamespace
from typing import Any

import pytest
from kubelet_model import World, pod

from cricket.errors import InvalidArgument
from cricket.kubelet.api_logs import Wanted, wanted
from cricket.kubelet.api_metrics import metrics, resource_metrics
from cricket.kubelet.events import Events
from cricket.kubelet.loop_records import SECOND
from cricket.kubelet.model.container import Container
from cricket.kubelet.status import Shown, pod_status

NOW = 1000 * SECOND


@pytest.mark.parametrize(
    ("query", "more"),
    [
        ("", {}),
        ("?follow=true&timestamps=1", {"follow": True, "timestamps": True}),
        ("?follow", {"follow": True}),
        ("?follow=false&previous=true", {"previous": True}),
        ("?tailLines=3&sinceSeconds=10", {"tail": 3, "since": 990 * SECOND}),
        ("?tail=all", {}),
    ],
)
def test_what_of_a_log_is_wanted(query: str, more: dict[str, Any]) -> None:
    assert wanted(f"/containerLogs/ns/web/main{query}", NOW) == Wanted("ns/web", "main", **more)


@pytest.mark.parametrize(
    "target", ["web/main", "ns/web/main/x", "ns//main", "a/b/c?tailLines=x", "a/b/c?sinceSeconds=-1"]
)
def test_what_nobody_understands(target: str) -> None:
    with pytest.raises(InvalidArgument):
        wanted(f"/containerLogs/{target}", NOW)


def _agent() -> Any:
    world, events = World(pod(Container("a"))), Events(clock=lambda: NOW)
    world.settle()
    events.add(world.pod, "Started", "x")
    events.add(world.pod, "Started", "x")
    worker = SimpleNamespace(pod=world.pod, records=world.records(), uid="u1")
    worker.status = pod_status(world.situation(), Shown(), world.now)
    return SimpleNamespace(
        workers={"u1": worker},
        events=events,
        node=SimpleNamespace(name='n"1'),
        cri=SimpleNamespace(calls=Counter(RunPodSandbox=1, ListContainers=2), failures=Counter(PullImage=1)),
        parts=SimpleNamespace(probed=Counter({("Readiness", "failed", "default", "web", "a"): 3})),
    )


def test_metrics() -> None:
    told = metrics(_agent()).splitlines()
    for line in (
        r'kubelet_node_name{node="n\"1"} 1',
        "kubelet_running_pods 1",
        'kubelet_running_containers{container_state="running"} 1',
        'kubelet_runtime_operations_total{operation_type="run_podsandbox"} 1',
        'kubelet_runtime_operations_total{operation_type="list_containers"} 2',
        'kubelet_runtime_operations_errors_total{operation_type="pull_image"} 1',
        'prober_probe_total{probe_type="Readiness",result="failed",namespace="default",pod="web",container="a"} 3',
        'cricket_kubelet_pods{phase="Running"} 1',
        'cricket_kubelet_pods{phase="Failed"} 0',
        'cricket_kubelet_container_ready{namespace="default",pod="web",container="a"} 1',
        'cricket_kubelet_events{reason="Started"} 2',
    ):
        assert line in told


async def test_resource_metrics() -> None:
    from cricket._proto.cri import api_pb2 as pb

    stats = pb.PodSandboxStats()
    stats.attributes.metadata.uid, stats.attributes.metadata.name = "u1", "web"
    stats.attributes.metadata.namespace = "default"
    stats.linux.cpu.usage_core_nano_seconds.value = 1_500_000_000
    stats.linux.memory.working_set_bytes.value = 4096
    other = pb.PodSandboxStats()
    other.attributes.metadata.uid = "of another agent"

    async def call(name: str, **fields: object) -> Any:
        return pb.ListPodSandboxStatsResponse(stats=[stats, other])

    agent = _agent()
    agent.cri.call = call
    told = await resource_metrics(agent)
    assert 'pod_cpu_usage_seconds_total{namespace="default",pod="web"} 1.5\n' in told
    assert told.count("pod_memory_working_set_bytes{") == 1 and "resource_scrape_error 0" in told
