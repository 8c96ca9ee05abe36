"""cAdvisor's container metrics as CRI metrics: what a kubelet with PodAndContainerStatsFromCRI serves on
`/metrics/cadvisor` (KEP-2371), with the names and labels that dashboards know.

CRI carries unsigned integers only, so seconds are cut to whole ones. What is not known gives no sample, but for
counters whose absence means that nothing was ever counted.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator

from cricket._proto.cri import api_pb2 as pb
from cricket.cri.pod_metric_families import BASE_LABELS, FAMILIES
from cricket.types.container import Container
from cricket.types.resources import Resources
from cricket.types.sandbox import Sandbox
from cricket.types.stats import ContainerUsage, Cpu, Interface, Io, Memory, Pids, Psi, SandboxUsage

Sample = tuple[str, int | None, tuple[str, ...]]
"""Name, value and the values of the labels that the family has beyond the base ones."""

NS = 1_000_000_000
US = 1_000_000
DEFAULT_PERIOD, DEFAULT_SHARES = 100_000, 1024
"""The kernel's values where the container sets none: period in microseconds, relative weight."""
UNLIMITED = 1 << 62
"""Limits above this mean "none" and are shown as 0, as cAdvisor does."""


def descriptors() -> list[pb.MetricDescriptor]:
    """Every family."""
    return [
        pb.MetricDescriptor(name=f.name, help=f.help, label_keys=(*BASE_LABELS, *f.labels)) for f in FAMILIES.values()
    ]


def sandbox_metrics(box: Sandbox, usage: SandboxUsage, containers: dict[str, Container]) -> pb.PodSandboxMetrics:
    """The samples of a sandbox (its network) and of each of its containers that has a record in `containers`."""
    metadata = box.config.metadata
    base = ("POD", box.id, "", box.id, metadata.namespace, metadata.name)
    now = time.time_ns()
    network = (sample for i in usage.interfaces if i.name != "lo" for sample in _network(i))
    known = [(containers[u.id], u) for u in usage.containers if u.id in containers]
    return pb.PodSandboxMetrics(
        pod_sandbox_id=box.id,
        metrics=_messages(network, base, usage.network_timestamp or now),
        container_metrics=[
            pb.ContainerMetrics(
                container_id=c.id, metrics=_messages(_container(c, u, now), _labels(box, c), _timestamp(u) or now)
            )
            for c, u in known
        ],
    )


def _labels(box: Sandbox, container: Container) -> tuple[str, ...]:
    """Values of the base labels. As in cAdvisor, `id` is the cgroup and `name` the runtime's id."""
    config, metadata = container.config, box.config.metadata
    image = config.user_image or config.image
    cgroup = container.cgroup or container.id
    return (config.metadata.name, cgroup, image, container.id, metadata.namespace, metadata.name)


def _timestamp(usage: ContainerUsage) -> int:
    return usage.cpu.timestamp if usage.cpu is not None else 0


def _messages(samples: Iterable[Sample], base: tuple[str, ...], timestamp: int) -> list[pb.Metric]:
    return [
        pb.Metric(
            name=name,
            timestamp=timestamp,
            metric_type=FAMILIES[name].kind,
            label_values=base + extra,
            value=pb.UInt64Value(value=max(value, 0)),
        )
        for name, value, extra in samples
        if value is not None
    ]


def _container(container: Container, usage: ContainerUsage, now: int) -> Iterator[Sample]:
    yield "container_last_seen", now // NS, ()
    yield "container_start_time_seconds", (container.started_at or container.created_at) // NS, ()
    yield from _spec(container.resources)
    if usage.cpu is not None:
        yield from _cpu(usage.cpu)
    if usage.memory is not None:
        yield from _memory(usage.memory)
    if usage.pids is not None:
        yield from _processes(usage.pids)
    if usage.io is not None:
        yield from _io(usage.io)
    yield from _file_system(usage)
    for huge in usage.hugetlb:
        yield "container_hugetlb_usage_bytes", huge.usage, (huge.page_size,)
        if huge.max_usage is not None:
            yield "container_hugetlb_max_usage_bytes", huge.max_usage, (huge.page_size,)


def _cpu(cpu: Cpu) -> Iterator[Sample]:
    yield "container_cpu_usage_seconds_total", cpu.usage_ns // NS, ("total",)
    yield "container_cpu_user_seconds_total", _over(cpu.user_ns, NS), ()
    yield "container_cpu_system_seconds_total", _over(cpu.system_ns, NS), ()
    yield "container_cpu_cfs_periods_total", cpu.periods, ()
    yield "container_cpu_cfs_throttled_periods_total", cpu.throttled_periods, ()
    yield "container_cpu_cfs_throttled_seconds_total", _over(cpu.throttled_ns, NS), ()
    yield from _pressure("cpu", cpu.psi)


def _memory(memory: Memory) -> Iterator[Sample]:
    yield "container_memory_usage_bytes", memory.usage, ()
    yield "container_memory_working_set_bytes", memory.working_set, ()
    yield "container_memory_rss", memory.rss, ()
    yield "container_memory_cache", memory.cache, ()
    yield "container_memory_mapped_file", memory.mapped_file, ()
    yield "container_memory_kernel_usage", memory.kernel, ()
    yield "container_memory_max_usage_bytes", memory.max_usage, ()
    yield "container_memory_swap", memory.swap_usage or 0, ()
    yield "container_memory_failcnt", memory.failcnt or 0, ()
    yield "container_oom_events_total", memory.oom_kills or 0, ()
    for scope in ("container", "hierarchy"):
        yield "container_memory_failures_total", memory.page_faults, ("pgfault", scope)
        yield "container_memory_failures_total", memory.major_page_faults, ("pgmajfault", scope)
    yield from _pressure("memory", memory.psi)


def _processes(pids: Pids) -> Iterator[Sample]:
    yield "container_processes", pids.processes, ()
    yield "container_threads", pids.processes if pids.threads is None else pids.threads, ()
    yield "container_threads_max", pids.max_threads or 0, ()
    yield "container_file_descriptors", pids.file_descriptors, ()
    yield "container_sockets", pids.sockets, ()
    yield "container_ulimits_soft", pids.open_files_limit, ("max_open_files",)


def _io(io: Io) -> Iterator[Sample]:
    for d in io.devices:
        major, _, minor = d.device.partition(":")
        yield "container_fs_reads_bytes_total", d.read_bytes, (d.device,)
        yield "container_fs_writes_bytes_total", d.write_bytes, (d.device,)
        yield "container_fs_reads_total", d.read_ios, (d.device,)
        yield "container_fs_writes_total", d.write_ios, (d.device,)
        yield "container_blkio_device_usage_total", d.read_bytes, (d.device, major, minor, "Read")
        yield "container_blkio_device_usage_total", d.write_bytes, (d.device, major, minor, "Write")
    yield from _pressure("io", io.psi)


def _file_system(usage: ContainerUsage) -> Iterator[Sample]:
    fs = usage.fs
    device = fs.device if fs is not None else ""
    if usage.writable_layer is not None:
        yield "container_fs_usage_bytes", usage.writable_layer.used_bytes, (device,)
    if fs is not None:
        yield "container_fs_limit_bytes", fs.limit_bytes, (device,)
        yield "container_fs_inodes_total", fs.inodes_total, (device,)
        yield "container_fs_inodes_free", fs.inodes_free, (device,)


def _spec(resources: Resources) -> Iterator[Sample]:
    reserved = resources.unified.get("memory.min", "0")
    yield "container_spec_cpu_period", resources.cpu_period or DEFAULT_PERIOD, ()
    yield "container_spec_cpu_shares", resources.cpu_shares or DEFAULT_SHARES, ()
    if resources.cpu_quota > 0:
        yield "container_spec_cpu_quota", resources.cpu_quota, ()
    yield "container_spec_memory_limit_bytes", _limit(resources.memory_limit), ()
    yield "container_spec_memory_swap_limit_bytes", _limit(resources.memory_swap_limit), ()
    yield "container_spec_memory_reservation_limit_bytes", _limit(int(reserved) if reserved.isdigit() else 0), ()


def _network(interface: Interface) -> Iterator[Sample]:
    name = (interface.name,)
    yield "container_network_receive_bytes_total", interface.rx_bytes, name
    yield "container_network_receive_packets_total", interface.rx_packets, name
    yield "container_network_receive_packets_dropped_total", interface.rx_dropped, name
    yield "container_network_receive_errors_total", interface.rx_errors, name
    yield "container_network_transmit_bytes_total", interface.tx_bytes, name
    yield "container_network_transmit_packets_total", interface.tx_packets, name
    yield "container_network_transmit_packets_dropped_total", interface.tx_dropped, name
    yield "container_network_transmit_errors_total", interface.tx_errors, name


def _pressure(resource: str, psi: Psi | None) -> Iterator[Sample]:
    if psi is not None:
        yield f"container_pressure_{resource}_stalled_seconds_total", psi.full.total // US, ()
        yield f"container_pressure_{resource}_waiting_seconds_total", psi.some.total // US, ()


def _over(value: int | None, unit: int) -> int | None:
    return None if value is None else value // unit


def _limit(value: int) -> int:
    return value if 0 < value < UNLIMITED else 0
