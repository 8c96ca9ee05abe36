"""cAdvisor's metrics through CRI: the set that conformance tests expect, each with as many label values as keys."""

from __future__ import annotations

from typing import Any

import msgspec

from cricket._proto.cri import api_pb2 as pb
from cricket.cri import fake_usage
from cricket.cri.fake import FakeEngine
from cricket.cri.pod_metrics import descriptors, sandbox_metrics
from cricket.types.stats import ContainerUsage, Cpu, Memory, Pids, SandboxUsage

EXPECTED = """
blkio_device_usage_total cpu_cfs_periods_total cpu_cfs_throttled_periods_total cpu_cfs_throttled_seconds_total
cpu_system_seconds_total cpu_usage_seconds_total cpu_user_seconds_total file_descriptors fs_inodes_free
fs_inodes_total fs_limit_bytes fs_reads_bytes_total fs_reads_total fs_usage_bytes fs_writes_bytes_total
fs_writes_total hugetlb_max_usage_bytes hugetlb_usage_bytes last_seen memory_cache memory_failcnt
memory_failures_total memory_kernel_usage memory_mapped_file memory_max_usage_bytes memory_rss memory_swap
memory_usage_bytes memory_working_set_bytes network_receive_bytes_total network_receive_errors_total
network_receive_packets_dropped_total network_receive_packets_total network_transmit_bytes_total
network_transmit_errors_total network_transmit_packets_dropped_total network_transmit_packets_total
oom_events_total pressure_cpu_stalled_seconds_total pressure_cpu_waiting_seconds_total
pressure_io_stalled_seconds_total pressure_io_waiting_seconds_total pressure_memory_stalled_seconds_total
pressure_memory_waiting_seconds_total processes sockets spec_cpu_period spec_cpu_quota spec_cpu_shares
spec_memory_limit_bytes spec_memory_reservation_limit_bytes spec_memory_swap_limit_bytes start_time_seconds
threads threads_max ulimits_soft
"""
NAMES = {f"container_{name}" for name in EXPECTED.split()}
RESOURCES = pb.LinuxContainerResources(
    cpu_period=100000, cpu_quota=20000, cpu_shares=1024, memory_limit_in_bytes=1 << 26, unified={"memory.min": "4096"}
)


async def test_every_expected_metric_is_described_and_measured(client: Any) -> None:
    keys = {}
    for descriptor in (await client.call("ListMetricDescriptors")).descriptors:
        assert descriptor.help and descriptor.label_keys
        keys[descriptor.name] = list(descriptor.label_keys)
    assert set(keys) == NAMES
    box = await client.sandbox()
    linux = pb.LinuxContainerConfig(resources=RESOURCES)
    container = await client.container(box, linux=linux)
    [pod] = (await client.call("ListPodSandboxMetrics")).pod_metrics
    assert pod.pod_sandbox_id == box
    [of_container] = pod.container_metrics
    assert of_container.container_id == container
    samples = [*pod.metrics, *of_container.metrics]
    assert {s.name for s in samples} == NAMES
    for sample in samples:
        assert len(sample.label_values) == len(keys[sample.name]), sample.name
        assert sample.timestamp > 0
        counts = sample.name.endswith("_total") and sample.name != "container_fs_inodes_total"
        counts = counts or sample.name == "container_memory_failcnt"
        assert sample.metric_type == (pb.COUNTER if counts else pb.GAUGE), sample.name
    seen = {(s.name, *s.label_values) for s in samples}
    assert len(seen) == len(samples)
    found = {s.name: (dict(zip(keys[s.name], s.label_values, strict=True)), s.value.value) for s in samples}
    labels, value = found["container_threads"]
    assert value == 5
    assert labels["name"] == container and labels["pod"] == "pod" and labels["namespace"] == "ns"
    assert labels["container"] == "c" and labels["image"] == "busybox"
    assert found["container_network_receive_bytes_total"][0]["container"] == "POD"
    assert found["container_spec_memory_reservation_limit_bytes"][1] == 4096
    assert found["container_hugetlb_usage_bytes"][0]["pagesize"] == "2MB"
    batches = await client.call("StreamPodSandboxMetrics")
    assert [m.pod_sandbox_id for b in batches for m in b.pod_sandbox_metrics] == [box]


async def test_what_is_not_known_gives_no_sample(client: Any, engine: FakeEngine) -> None:
    box = await client.sandbox()
    container = await client.container(box)
    records = {container: engine.containers.records[container]}
    bare = ContainerUsage(container, Cpu(1, 2), Memory(1, 2, 3, 4), pids=Pids(1, 7))
    metrics = sandbox_metrics(engine.sandboxes.records[box], SandboxUsage(box, containers=(bare,)), records)
    found = {m.name: m.value.value for m in metrics.container_metrics[0].metrics}
    assert not metrics.metrics
    for absent in ("cpu_user_seconds_total", "sockets", "ulimits_soft", "fs_limit_bytes", "memory_cache"):
        assert f"container_{absent}" not in found
    assert found["container_threads"] == 7 and found["container_threads_max"] == 0
    assert found["container_oom_events_total"] == 0 and found["container_memory_swap"] == 0


async def test_a_container_without_a_record_is_left_out(client: Any, engine: FakeEngine) -> None:
    box = await client.sandbox()
    usage = fake_usage.sandbox(box, ["gone"])
    assert not sandbox_metrics(engine.sandboxes.records[box], usage, {}).container_metrics


async def test_limits_that_mean_none_are_zero(client: Any, engine: FakeEngine) -> None:
    box = await client.sandbox()
    container = await client.container(box)
    record = engine.containers.records[container]
    resources = msgspec.structs.replace(record.resources, memory_limit=-1, memory_swap_limit=(1 << 63) - 1)
    record = msgspec.structs.replace(record, resources=resources)
    metrics = sandbox_metrics(engine.sandboxes.records[box], fake_usage.sandbox(box, [container]), {container: record})
    found = {m.name: m.value.value for m in metrics.container_metrics[0].metrics}
    assert found["container_spec_memory_limit_bytes"] == found["container_spec_memory_swap_limit_bytes"] == 0


def test_descriptors_have_unique_names() -> None:
    names = [d.name for d in descriptors()]
    assert len(names) == len(set(names))
