"""The families of metrics that a pod can have: name, help, and labels beyond the base ones.

The set is the one that cAdvisor has for containers and that critest expects.
"""

from __future__ import annotations

from typing import NamedTuple

from cricket._proto.cri import api_pb2 as pb

BASE_LABELS = ("container", "id", "image", "name", "namespace", "pod")


class Family(NamedTuple):
    """One metric name."""

    name: str
    help: str
    kind: pb.MetricType
    labels: tuple[str, ...] = ()


_DEVICE = ("device",)
_INTERFACE = ("interface",)
_COUNTERS = (
    ("cpu_usage_seconds_total", "CPU time used, in seconds.", ("cpu",)),
    ("cpu_user_seconds_total", "CPU time used in user mode, in seconds."),
    ("cpu_system_seconds_total", "CPU time used in the kernel, in seconds."),
    ("cpu_cfs_periods_total", "Enforcement periods in which the quota applied."),
    ("cpu_cfs_throttled_periods_total", "Enforcement periods in which the quota was used up."),
    ("cpu_cfs_throttled_seconds_total", "Time for which the quota kept tasks waiting, in seconds."),
    ("memory_failcnt", "Times at which the memory limit was hit."),
    ("memory_failures_total", "Page faults by type and scope.", ("failure_type", "scope")),
    ("oom_events_total", "Processes that the out-of-memory killer ended."),
    ("fs_reads_bytes_total", "Bytes read from the device.", _DEVICE),
    ("fs_reads_total", "Reads that the device completed.", _DEVICE),
    ("fs_writes_bytes_total", "Bytes written to the device.", _DEVICE),
    ("fs_writes_total", "Writes that the device completed.", _DEVICE),
    ("blkio_device_usage_total", "Bytes moved, by device and operation.", ("device", "major", "minor", "operation")),
    ("network_receive_bytes_total", "Bytes received.", _INTERFACE),
    ("network_receive_packets_total", "Packets received.", _INTERFACE),
    ("network_receive_packets_dropped_total", "Packets dropped on receipt.", _INTERFACE),
    ("network_receive_errors_total", "Errors on receipt.", _INTERFACE),
    ("network_transmit_bytes_total", "Bytes sent.", _INTERFACE),
    ("network_transmit_packets_total", "Packets sent.", _INTERFACE),
    ("network_transmit_packets_dropped_total", "Packets dropped on sending.", _INTERFACE),
    ("network_transmit_errors_total", "Errors on sending.", _INTERFACE),
    ("pressure_cpu_stalled_seconds_total", "Time in which no task could run for want of CPU, in seconds."),
    ("pressure_cpu_waiting_seconds_total", "Time in which some task waited for CPU, in seconds."),
    ("pressure_memory_stalled_seconds_total", "Time in which no task could run for want of memory, in seconds."),
    ("pressure_memory_waiting_seconds_total", "Time in which some task waited for memory, in seconds."),
    ("pressure_io_stalled_seconds_total", "Time in which no task could run for want of I/O, in seconds."),
    ("pressure_io_waiting_seconds_total", "Time in which some task waited for I/O, in seconds."),
)
_GAUGES = (
    ("last_seen", "When the container was last measured, in Unix seconds."),
    ("start_time_seconds", "When the container started, in Unix seconds."),
    ("memory_usage_bytes", "Memory charged to the container, in bytes."),
    ("memory_working_set_bytes", "Memory in use that cannot be reclaimed easily, in bytes."),
    ("memory_rss", "Anonymous memory, in bytes."),
    ("memory_cache", "Page cache, in bytes."),
    ("memory_mapped_file", "Mapped files, in bytes."),
    ("memory_kernel_usage", "Kernel memory, in bytes."),
    ("memory_max_usage_bytes", "Most memory ever charged, in bytes."),
    ("memory_swap", "Swap in use, in bytes."),
    ("fs_usage_bytes", "Bytes in the writable layer.", _DEVICE),
    ("fs_limit_bytes", "Size of the file system of the writable layer, in bytes.", _DEVICE),
    ("fs_inodes_total", "Inodes of the file system of the writable layer.", _DEVICE),
    ("fs_inodes_free", "Free inodes of the file system of the writable layer.", _DEVICE),
    ("hugetlb_usage_bytes", "Huge pages in use, in bytes.", ("pagesize",)),
    ("hugetlb_max_usage_bytes", "Most huge pages ever in use, in bytes.", ("pagesize",)),
    ("processes", "Processes."),
    ("threads", "Threads."),
    ("threads_max", "Threads allowed; 0 means no limit."),
    ("file_descriptors", "Open file descriptors."),
    ("sockets", "Open sockets."),
    ("ulimits_soft", "Soft limits of the first process.", ("ulimit",)),
    ("spec_cpu_period", "CPU enforcement period, in microseconds."),
    ("spec_cpu_quota", "CPU time allowed per period, in microseconds."),
    ("spec_cpu_shares", "CPU weight."),
    ("spec_memory_limit_bytes", "Memory limit in bytes; 0 means none."),
    ("spec_memory_reservation_limit_bytes", "Memory that is guaranteed, in bytes; 0 means none."),
    ("spec_memory_swap_limit_bytes", "Limit of memory and swap together, in bytes; 0 means none."),
)


def _families() -> dict[str, Family]:
    found = {}
    for kind, rows in ((pb.COUNTER, _COUNTERS), (pb.GAUGE, _GAUGES)):
        for short, text, *labels in rows:
            name = f"container_{short}"
            found[name] = Family(name, str(text), kind, tuple(labels[0]) if labels else ())
    return found


FAMILIES = _families()
