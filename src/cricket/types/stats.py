"""Measured usage of containers and sandboxes. Times in Unix nanoseconds, sizes in bytes; None means not known."""

from __future__ import annotations

import msgspec

from cricket.types.image import FsUsage


class PsiLine(msgspec.Struct, frozen=True):
    """One line of a PSI file: total in microseconds as the kernel gives it, averages in percent."""

    total: int
    avg10: float
    avg60: float
    avg300: float


class Psi(msgspec.Struct, frozen=True):
    """Pressure stall information of one resource (cgroup v2 only)."""

    some: PsiLine
    full: PsiLine


class Cpu(msgspec.Struct, frozen=True):
    """Accumulated CPU time in nanoseconds and the rate since the previous reading in nano-cores."""

    timestamp: int
    usage_ns: int
    nano_cores: int | None = None
    user_ns: int | None = None
    system_ns: int | None = None
    throttled_periods: int | None = None
    periods: int | None = None
    throttled_ns: int | None = None
    psi: Psi | None = None


class Memory(msgspec.Struct, frozen=True):
    """Working set is usage less inactive file pages; `available` is limit less working set, None without a limit."""

    timestamp: int
    usage: int
    working_set: int
    rss: int
    available: int | None = None
    page_faults: int | None = None
    major_page_faults: int | None = None
    cache: int | None = None
    mapped_file: int | None = None
    max_usage: int | None = None
    failcnt: int | None = None
    limit: int | None = None
    kernel: int | None = None
    swap_usage: int | None = None
    swap_available: int | None = None
    oom_kills: int | None = None
    psi: Psi | None = None


class BlkDevice(msgspec.Struct, frozen=True):
    """I/O counters of one block device ("8:0")."""

    device: str
    read_bytes: int
    write_bytes: int
    read_ios: int
    write_ios: int


class Io(msgspec.Struct, frozen=True):
    """Block I/O of a cgroup."""

    timestamp: int
    devices: tuple[BlkDevice, ...] = ()
    psi: Psi | None = None


class Interface(msgspec.Struct, frozen=True):
    """Counters of one network interface as seen inside the sandbox."""

    name: str
    rx_bytes: int = 0
    rx_packets: int = 0
    rx_errors: int = 0
    rx_dropped: int = 0
    tx_bytes: int = 0
    tx_packets: int = 0
    tx_errors: int = 0
    tx_dropped: int = 0


class Pids(msgspec.Struct, frozen=True):
    """Processes and threads of a cgroup; `max_threads` None when unlimited.

    `open_files_limit` is the soft RLIMIT_NOFILE of the first process.
    """

    timestamp: int
    processes: int
    threads: int | None = None
    max_threads: int | None = None
    file_descriptors: int | None = None
    sockets: int | None = None
    open_files_limit: int | None = None


class HugetlbUsage(msgspec.Struct, frozen=True):
    """Huge pages of one size ("2MB", as the kernel names the file) in bytes."""

    page_size: str
    usage: int
    max_usage: int | None = None  # None on cgroup v2, which keeps none


class FsCapacity(msgspec.Struct, frozen=True):
    """The file system that holds a container's writable layer; `device` as in mountinfo ("/dev/vda1")."""

    device: str
    limit_bytes: int
    inodes_total: int
    inodes_free: int


class ContainerUsage(msgspec.Struct, frozen=True):
    """Everything measured of one container."""

    id: str
    cpu: Cpu | None = None
    memory: Memory | None = None
    io: Io | None = None
    pids: Pids | None = None
    writable_layer: FsUsage | None = None
    fs: FsCapacity | None = None
    hugetlb: tuple[HugetlbUsage, ...] = ()


class SandboxUsage(msgspec.Struct, frozen=True):
    """Everything measured of one sandbox; `containers` are its running containers."""

    id: str
    cpu: Cpu | None = None
    memory: Memory | None = None
    io: Io | None = None
    pids: Pids | None = None
    interfaces: tuple[Interface, ...] = ()
    network_timestamp: int = 0
    containers: tuple[ContainerUsage, ...] = ()
