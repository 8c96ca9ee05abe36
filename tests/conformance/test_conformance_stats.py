"""Checklist 37 to 39: stats, metrics, events."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from conformance_kit import FOREVER, ConformanceNode, refused
from harness.node import until

from cricket._proto.cri import api_pb2 as pb

pytestmark = pytest.mark.root


def test_37_stats_skip_what_vanished(node: ConformanceNode, image: str) -> None:
    pods = [node.run_pod() for _ in range(4)]
    for i, pod in enumerate(pods):
        node.run(pod, node.container(image, "true" if i == 0 else "sleep", *([] if i == 0 else ["99999"])))
    failures: list[BaseException] = []
    stop = threading.Event()

    def ask() -> None:
        try:
            while not stop.is_set():
                for method in ("ListContainerStats", "ListPodSandboxStats", "ListPodSandboxMetrics"):
                    node.cri.call(method)
        except BaseException as error:
            failures.append(error)

    asking = [threading.Thread(target=ask) for _ in range(2)]
    for thread in asking:
        thread.start()
    for pod in pods[:3]:
        node.cri.call("StopPodSandbox", pod_sandbox_id=pod)
        node.cri.call("RemovePodSandbox", pod_sandbox_id=pod)
    stop.set()
    for thread in asking:
        thread.join()
    assert not failures
    assert [s.attributes.id for s in node.cri.call("ListPodSandboxStats").stats] == [pods[3]]
    with refused("NOT_FOUND"):
        node.cri.call("PodSandboxStats", pod_sandbox_id=pods[0])


def test_38_stats_are_complete_without_cadvisor(node: ConformanceNode, image: str, handler: str) -> None:
    config = node.pod(labels={"io.kubernetes.pod.name": "p"}, annotations={"a": "b"})
    pod = node.run_pod(config, handler)
    script = "echo data > /file; i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; sleep 99999"
    limit = {"resources": {"memory_limit_in_bytes": 64 << 20}}
    made = node.container_with(image, "sh", "-c", script, security={}, labels={"l": "c"}, linux=limit)
    container = node.run(pod, made, config)
    until(lambda: _container(node, container).cpu.usage_core_nano_seconds.value > 0, "no CPU time is measured")
    # The kernel adds up a cgroup's memory.stat every other second.
    until(lambda: _container(node, container).memory.rss_bytes.value > 0, "no resident memory is measured")
    one = _container(node, container)
    assert one.attributes.metadata.name == "c" and dict(one.attributes.labels) == {"l": "c"}
    assert one.cpu.timestamp > 0 and one.memory.timestamp > 0
    assert 0 < one.memory.working_set_bytes.value <= one.memory.usage_bytes.value <= 64 << 20
    assert one.memory.available_bytes.value > 0
    assert one.writable_layer.used_bytes.value > 0 and one.writable_layer.fs_id.mountpoint
    stats = node.cri.call("PodSandboxStats", pod_sandbox_id=pod).stats
    assert dict(stats.attributes.labels) == {"io.kubernetes.pod.name": "p"}
    assert dict(stats.attributes.annotations) == {"a": "b"}
    assert stats.linux.cpu.usage_core_nano_seconds.value > 0 and stats.linux.memory.working_set_bytes.value > 0
    assert stats.linux.process.process_count.value >= 1
    assert stats.linux.network.default_interface.name == "eth0"
    assert stats.linux.network.default_interface.tx_bytes.value > 0
    assert [c.attributes.id for c in stats.linux.containers] == [container]


def _container(node: ConformanceNode, container: str) -> Any:
    return node.cri.call("ContainerStats", container_id=container).stats


_CADVISOR = {
    "container_cpu_usage_seconds_total",
    "container_memory_working_set_bytes",
    "container_memory_usage_bytes",
    "container_fs_usage_bytes",
    "container_network_receive_bytes_total",
    "container_network_transmit_bytes_total",
    "container_oom_events_total",
    "container_processes",
    "container_spec_memory_limit_bytes",
    "container_start_time_seconds",
    "container_threads",
}
"""The part of cAdvisor's metrics that dashboards live on."""


def test_38_metrics_are_complete_and_described(node: ConformanceNode, image: str) -> None:
    pod = node.run_pod()
    container = node.run(pod, node.container(image, *FOREVER))
    described = {d.name: list(d.label_keys) for d in node.cri.call("ListMetricDescriptors").descriptors}
    (metrics,) = node.cri.call("ListPodSandboxMetrics").pod_metrics
    assert metrics.pod_sandbox_id == pod
    assert [c.container_id for c in metrics.container_metrics] == [container]
    found = [*metrics.metrics, *metrics.container_metrics[0].metrics]
    for metric in found:
        assert len(metric.label_values) == len(described[metric.name]), metric.name
        assert metric.timestamp > 0 and metric.HasField("value")
    assert _CADVISOR - {metric.name for metric in found} == set()


class _Events:
    """Collects events in the background."""

    def __init__(self, node: ConformanceNode) -> None:
        self.seen: list[Any] = []
        self._stream = node.cri.channel.unary_stream(
            "/runtime.v1.RuntimeService/GetContainerEvents",
            request_serializer=pb.GetEventsRequest.SerializeToString,
            response_deserializer=pb.ContainerEventResponse.FromString,
        )(pb.GetEventsRequest())
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def _read(self) -> None:
        try:
            for event in self._stream:
                self.seen.append(event)
        except Exception as error:  # cancelled
            assert "Cancelled" in type(error).__name__ or "CANCELLED" in str(error), error

    def of(self, object_id: str) -> list[str]:
        """The types of an object's events."""
        names = pb.ContainerEventType
        found = [names.Name(e.container_event_type) for e in self.seen if e.container_id == object_id]
        return [name.removeprefix("CONTAINER_").removesuffix("_EVENT") for name in found]

    def close(self) -> None:
        self._stream.cancel()
        self._thread.join()


@contextmanager
def _events(node: ConformanceNode) -> Iterator[_Events]:
    events = _Events(node)
    try:
        # An event stream says nothing before the first event: make some until one arrives.
        def arrived() -> bool:
            probe = node.run_pod()
            node.cri.call("RemovePodSandbox", pod_sandbox_id=probe)
            return bool(events.seen)

        until(arrived, "no events arrive")
        yield events
    finally:
        events.close()


_LIFE = ["CREATED", "STARTED", "STOPPED", "DELETED"]


def test_39_events_of_a_pods_life(node: ConformanceNode, image: str, handler: str) -> None:
    with _events(node) as events:
        began = time.time_ns()
        config = node.pod(labels={"who": "me"}, annotations={"what": "this"})
        pod = node.run_pod(config, handler)
        first = node.run(pod, node.container(image, "sh", "-c", "exit 3"), config)
        node.wait_exit(first)
        second = node.run(pod, node.container(image, *FOREVER, attempt=1), config)
        node.cri.call("StopPodSandbox", pod_sandbox_id=pod)
        node.cri.call("RemoveContainer", container_id=first)
        node.cri.call("RemovePodSandbox", pod_sandbox_id=pod)
        until(lambda: "DELETED" in events.of(pod), "the last event does not arrive")
        for object_id in (pod, first, second):
            assert events.of(object_id) == _LIFE
        mine = [e for e in events.seen if e.pod_sandbox_status.id == pod]
        assert {e.container_id for e in mine} == {pod, first, second}
        for event in mine:
            status = event.pod_sandbox_status
            assert status.metadata.uid == config["metadata"]["uid"] and dict(status.labels) == {"who": "me"}
            assert dict(status.annotations) == {"what": "this"} and status.created_at > 0
        times = [e.created_at for e in mine]
        assert times == sorted(times) and began <= times[0] and times[-1] < time.time_ns() + 10**9
        stopped = next(e for e in mine if e.container_id == first and e.container_event_type == 2)
        assert [s.exit_code for s in stopped.containers_statuses if s.id == first] == [3]


def test_39_container_statuses_come_newest_first(node: ConformanceNode, image: str) -> None:
    """A kubelet with evented PLEG takes the first status of a name for the current one."""
    pod = node.run_pod()
    made = [node.run(pod, node.container(image, "true", attempt=i)) for i in range(3)]
    answer = node.cri.call("PodSandboxStatus", pod_sandbox_id=pod)
    assert [s.id for s in answer.containers_statuses] == made[::-1]
    assert answer.timestamp >= answer.containers_statuses[0].created_at
