"""A small node for the tests of `cricket top`, as a runtime tells it and as it is shown."""

from __future__ import annotations

from typing import Any

from cricket._proto.cri import api_pb2 as pb
from cricket.cli.top.host import HostReading
from cricket.cli.top.model import Container, Frame, History, Moment, Node, Pod, Usage
from cricket.cli.top.source import Reading

SECOND = 1_000_000_000
MIB = 1 << 20


def container_stats(key: str, *, at: int, cpu: int, memory: int = MIB, available: int | None = None) -> Any:
    """A ContainerStats; `at` in seconds, `cpu` in milliseconds used."""
    stats = pb.ContainerStats(attributes={"id": key})
    stats.cpu.timestamp, stats.cpu.usage_core_nano_seconds.value = at * SECOND, cpu * 1_000_000
    stats.memory.working_set_bytes.value = memory
    if available is not None:
        stats.memory.available_bytes.value = available
    stats.writable_layer.used_bytes.value = 4096
    return stats


def pod_stats(key: str, *, at: int, cpu: int, received: int = 0, network_at: int | None = None) -> Any:
    """A PodSandboxStats."""
    stats = pb.PodSandboxStats(attributes={"id": key})
    stats.linux.cpu.timestamp, stats.linux.cpu.usage_core_nano_seconds.value = at * SECOND, cpu * 1_000_000
    stats.linux.memory.working_set_bytes.value = 2 * MIB
    stats.linux.network.timestamp = (at if network_at is None else network_at) * SECOND
    stats.linux.network.default_interface.rx_bytes.value = received
    stats.linux.process.process_count.value = 3
    return stats


def sandbox(key: str, name: str = "web", *, ready: bool = True) -> Any:
    """A PodSandbox."""
    state = pb.SANDBOX_READY if ready else pb.SANDBOX_NOTREADY
    return pb.PodSandbox(id=key, metadata={"name": name, "namespace": "default"}, state=state, created_at=SECOND)


def listed(key: str, pod: str, *, name: str = "c", attempt: int = 0, state: int = pb.CONTAINER_RUNNING) -> Any:
    """A Container of a list."""
    return pb.Container(
        id=key, pod_sandbox_id=pod, metadata={"name": name, "attempt": attempt}, state=state, created_at=2 * SECOND
    )


def reading(at: int, pods: list[Any], containers: list[Any], **fields: Any) -> Reading:
    """A measurement at that second."""
    known: dict[str, Any] = {"pod_stats": None, "container_stats": [], "statuses": {}, "host": HostReading()}
    return Reading(
        time=at * SECOND,
        runtime="r 1",
        endpoint="e",
        pods=pods,
        containers=containers,
        took=0.01,
        **{**known, **fields},
    )


def frame(*pods: Pod, cpus: tuple[float, ...] = (12.0, 95.0)) -> Frame:
    """A frame of these pods, or of three that have about everything."""
    node = Node(
        name="node-1",
        cpus=cpus,
        memory=3 << 30,
        memory_total=8 << 30,
        load=(0.5, 1.0, 2.0),
        uptime=90061.0,
        history=History((10.0, 50.0, 99.0), 3),
    )
    return Frame(time=100 * SECOND, runtime="cricket 0.1.0", endpoint="unix:///s", node=node, pods=pods or samples())


def samples() -> tuple[Pod, ...]:
    """Pods in several states."""
    server = Container(
        id="c1",
        name="server",
        state="Running",
        mood="good",
        since=40 * SECOND,
        image="busybox:1",
        usage=Usage(cpu=80.0, cpu_limit=100.0, memory=31 * MIB, memory_limit=32 * MIB, disk=1 << 20),
        moments=(Moment(40 * SECOND, "started", "good"),),
    )
    broken = Container(id="c2", name="job", state="Exit 3", mood="bad", attempt=4, since=90 * SECOND)
    wide = Container(id="c3", name="名前", state="Created", mood="warn")
    usage = Usage(cpu=81.0, cpu_limit=100.0, memory=33 * MIB, received=1234.0, sent=9.0, disk=1 << 20, processes=4)
    return (
        Pod(
            id="p1",
            namespace="default",
            name="web",
            state="Ready",
            mood="good",
            since=30 * SECOND,
            usage=usage,
            containers=(server,),
            moments=(Moment(30 * SECOND, "pod created"), *server.moments),
            history=History(tuple(float(n) for n in range(60)), 75),
        ),
        Pod(
            id="p2",
            namespace="a-very-long-namespace-indeed",
            name="a-name-that-is-quite-long-too-5d5f7f9c9b-x2x4z",
            state="Ready",
            mood="good",
            restarts=4,
            since=20 * SECOND,
            containers=(broken, wide),
        ),
        Pod(id="p3", namespace="default", name="gone", state="NotReady", mood="dim", since=10 * SECOND),
    )
