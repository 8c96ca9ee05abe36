"""Measured usage as CRI stats. A value that is not known stays unset; the kubelet tells unset from zero."""

from __future__ import annotations

from cricket._proto.cri import api_pb2 as pb
from cricket.cri.convert_image import fs_usage_to
from cricket.cri.convert_sandbox import sandbox_metadata_to
from cricket.cri.fields import maybe
from cricket.types.container import Container
from cricket.types.sandbox import Sandbox
from cricket.types.stats import ContainerUsage, Cpu, Interface, Io, Memory, Pids, Psi, PsiLine, SandboxUsage

DEFAULT_INTERFACE = "eth0"


def container_stats(container: Container, usage: ContainerUsage) -> pb.ContainerStats:
    """`ContainerStats`."""
    config = container.config
    return pb.ContainerStats(
        attributes=pb.ContainerAttributes(
            id=container.id,
            metadata=pb.ContainerMetadata(name=config.metadata.name, attempt=config.metadata.attempt),
            labels=config.labels,
            annotations=config.annotations,
        ),
        cpu=maybe(_cpu, usage.cpu),
        memory=maybe(_memory, usage.memory),
        writable_layer=maybe(fs_usage_to, usage.writable_layer),
        swap=maybe(_swap, usage.memory),
        io=maybe(_io, usage.io),
    )


def sandbox_stats(box: Sandbox, usage: SandboxUsage, containers: dict[str, Container]) -> pb.PodSandboxStats:
    """`PodSandboxStats`; `containers` are records by id, a container that has none any more is left out."""
    config = box.config
    return pb.PodSandboxStats(
        attributes=pb.PodSandboxAttributes(
            id=box.id,
            metadata=sandbox_metadata_to(config.metadata),
            labels=config.labels,
            annotations=config.annotations,
        ),
        linux=pb.LinuxPodSandboxStats(
            cpu=maybe(_cpu, usage.cpu),
            memory=maybe(_memory, usage.memory),
            network=_network(usage),
            process=maybe(_process, usage.pids),
            containers=[container_stats(containers[u.id], u) for u in usage.containers if u.id in containers],
            io=maybe(_io, usage.io),
        ),
    )


def _cpu(cpu: Cpu) -> pb.CpuUsage:
    return pb.CpuUsage(
        timestamp=cpu.timestamp,
        usage_core_nano_seconds=_value(cpu.usage_ns),
        usage_nano_cores=_value(cpu.nano_cores),
        psi=maybe(_psi, cpu.psi),
    )


def _memory(memory: Memory) -> pb.MemoryUsage:
    return pb.MemoryUsage(
        timestamp=memory.timestamp,
        working_set_bytes=_value(memory.working_set),
        available_bytes=_value(memory.available),
        usage_bytes=_value(memory.usage),
        rss_bytes=_value(memory.rss),
        page_faults=_value(memory.page_faults),
        major_page_faults=_value(memory.major_page_faults),
        psi=maybe(_psi, memory.psi),
    )


def _swap(memory: Memory) -> pb.SwapUsage | None:
    if memory.swap_usage is None and memory.swap_available is None:
        return None
    return pb.SwapUsage(
        timestamp=memory.timestamp,
        swap_available_bytes=_value(memory.swap_available),
        swap_usage_bytes=_value(memory.swap_usage),
    )


def _io(io: Io) -> pb.IoUsage:
    return pb.IoUsage(timestamp=io.timestamp, psi=maybe(_psi, io.psi))


def _network(usage: SandboxUsage) -> pb.NetworkUsage | None:
    """The default interface apart from the others; the loopback is not counted."""
    interfaces = [i for i in usage.interfaces if i.name != "lo"]
    if not interfaces:
        return None
    default = next((i for i in interfaces if i.name == DEFAULT_INTERFACE), interfaces[0])
    return pb.NetworkUsage(
        timestamp=usage.network_timestamp,
        default_interface=_interface(default),
        interfaces=[_interface(i) for i in interfaces if i is not default],
    )


def _interface(interface: Interface) -> pb.NetworkInterfaceUsage:
    return pb.NetworkInterfaceUsage(
        name=interface.name,
        rx_bytes=_value(interface.rx_bytes),
        rx_errors=_value(interface.rx_errors),
        tx_bytes=_value(interface.tx_bytes),
        tx_errors=_value(interface.tx_errors),
    )


def _process(pids: Pids) -> pb.ProcessUsage:
    return pb.ProcessUsage(timestamp=pids.timestamp, process_count=_value(pids.processes))


def _psi(psi: Psi) -> pb.PsiStats:
    return pb.PsiStats(Full=_psi_line(psi.full), Some=_psi_line(psi.some))


def _psi_line(line: PsiLine) -> pb.PsiData:
    return pb.PsiData(Total=line.total, Avg10=line.avg10, Avg60=line.avg60, Avg300=line.avg300)


def _value(number: int | None) -> pb.UInt64Value | None:
    return None if number is None else pb.UInt64Value(value=max(number, 0))
