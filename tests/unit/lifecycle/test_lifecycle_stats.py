"""Usage of containers and sandboxes, on a v2 tree in a temporary directory and with a clock that is turned by hand."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from cricket.errors import NotFound
from cricket.kernel.cgroup_paths import Layout, Mode
from cricket.lifecycle.stats import FORGET_NS, StatsReader, own_cgroup
from cricket.types.container import Container, ContainerConfig, ContainerMetadata, ContainerState
from cricket.types.image import FsUsage
from cricket.types.node import CgroupDriver
from cricket.types.sandbox import Sandbox, SandboxConfig, SandboxMetadata, SandboxState
from cricket.types.stats import ContainerUsage, Interface

SECOND = 1_000_000_000
LAYER = FsUsage("/l", 5, 1, 0)
CGROUPFS = CgroupDriver.CGROUPFS


class Host:
    """A v2 hierarchy, a clock, and a reader of them."""

    def __init__(self, root: Path, period: float = 0.0) -> None:
        self.root, self.now, self.layers = root, 100 * SECOND, {"c1": LAYER}
        self.reader = StatsReader(
            Layout(Mode.V2, {"": str(root)}),
            CGROUPFS,
            writable_layer=lambda container: self.layers.get(container.id),
            interfaces=self.interfaces,
            period=period,
            clock=lambda: self.now + SECOND,
            monotonic=lambda: self.now,
        )

    def interfaces(self, sandbox: Sandbox) -> tuple[Interface, ...]:
        if sandbox.id == "broken":
            raise NotFound("the network namespace is gone")
        return (Interface("eth0", rx_bytes=1),)

    def cgroup(self, path: str, usec: int, memory: int = 1000, pids: str = "1\n2\n") -> None:
        directory = self.root / path[1:]
        directory.mkdir(parents=True, exist_ok=True)
        files = {
            "cpu.stat": f"usage_usec {usec}\nuser_usec {usec}\nsystem_usec 0\n",
            "memory.current": f"{memory}\n",
            "memory.stat": "anon 10\ninactive_file 100\npgfault 1\n",
            "memory.max": "5000\n",
            "cgroup.procs": pids,
            "pids.current": "3\n",
        }
        for name, text in files.items():
            (directory / name).write_text(text)


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def container(name: str, state: ContainerState = ContainerState.RUNNING, cgroup: str = "/pods/poduid-1") -> Container:
    config = ContainerConfig(ContainerMetadata(name))
    return Container(name, "s1", config, state, 1, cgroup=f"{cgroup}/{name}" if cgroup else "")


def sandbox(name: str = "s1", parent: str = "/pods/poduid-1", netns: str = "/n") -> Sandbox:
    config = SandboxConfig(SandboxMetadata("p", "uid-1", "ns"), cgroup_parent=parent)
    return Sandbox(name, config, "", SandboxState.READY, 1, "boot", netns=netns)


async def test_a_rate_needs_two_readings_and_time_between_them(host: Host) -> None:
    async def rate(usec: int, seconds: float) -> int | None:
        host.cgroup("/pods/poduid-1/c1", usec)
        host.now += int(seconds * SECOND)
        (usage,) = await host.reader.containers([container("c1")])
        assert usage.cpu is not None
        return usage.cpu.nano_cores

    assert await rate(0, 0) is None
    assert await rate(100_000, 0.1) is None
    assert await rate(1_000_000, 1.9) == SECOND // 2
    assert await rate(9_000_000, 0.1) == SECOND // 2
    assert await rate(3_000_000, 0.9) == 2 * SECOND
    assert await rate(1_000_000, 1.0) == 0
    host.reader.forget("c1")
    host.reader.forget("unknown")
    assert await rate(2_000_000, 1.0) is None


async def test_readings_that_nobody_asks_for_are_dropped(host: Host) -> None:
    host.cgroup("/pods/poduid-1/c1", 0)
    await host.reader.containers([container("c1")])
    host.now += FORGET_NS
    await host.reader.containers([])
    (usage,) = await host.reader.containers([container("c1")])
    assert usage.cpu is not None
    assert usage.cpu.nano_cores is None


async def test_what_vanished_is_left_out_and_what_stopped_keeps_its_layer(host: Host) -> None:
    host.cgroup("/pods/poduid-1/c2", 5)
    records = [
        container("c1"),
        container("c2"),
        container("c3", ContainerState.EXITED),
        container("c1", ContainerState.EXITED, cgroup=""),
    ]
    usages = await host.reader.containers(records)
    assert [usage.id for usage in usages] == ["c2", "c1"]
    assert usages[1] == ContainerUsage("c1", writable_layer=LAYER)
    assert usages[0].cpu is not None
    assert usages[0].cpu.timestamp == host.now + SECOND


async def test_full_adds_processes(host: Host) -> None:
    host.cgroup("/pods/poduid-1/c1", 5, pids="")
    (usage,) = await host.reader.containers([container("c1")])
    assert usage.pids is None
    (usage,) = await host.reader.containers([container("c1")], full=True)
    assert usage.pids is not None
    assert (usage.pids.processes, usage.pids.threads, usage.pids.file_descriptors) == (0, 3, 0)


async def test_a_pod_with_a_cgroup_of_its_own(host: Host) -> None:
    host.cgroup("/pods/poduid-1", 50, 4000, pids="")
    host.cgroup("/pods/poduid-1/c1", 5)
    exited = container("c2", ContainerState.EXITED)
    (usage,) = await host.reader.sandboxes([(sandbox(), [container("c1"), exited])])
    assert usage.cpu is not None
    assert usage.cpu.usage_ns == 50_000
    assert usage.memory is not None
    assert usage.memory.working_set == 3900
    assert usage.pids is not None
    assert usage.pids.processes == 2
    assert usage.interfaces == (Interface("eth0", rx_bytes=1),)
    assert usage.network_timestamp == host.now + SECOND
    assert [each.id for each in usage.containers] == ["c1"]


async def test_a_pod_without_one_is_the_sum_of_its_containers(host: Host) -> None:
    host.cgroup("/shared", 999_999)
    host.cgroup("/shared/a", 3, 1000)
    host.cgroup("/shared/b", 4, 2000)
    containers = [container("a", cgroup="/shared"), container("b", cgroup="/shared"), container("gone")]
    (usage,) = await host.reader.sandboxes([(sandbox(parent="/shared", netns=""), containers)])
    assert usage.cpu is not None
    assert (usage.cpu.usage_ns, usage.cpu.nano_cores) == (7000, None)
    assert usage.memory is not None
    assert (usage.memory.usage, usage.memory.working_set, usage.memory.rss) == (3000, 2800, 20)
    assert (usage.memory.limit, usage.memory.available) == (10000, 7200)
    assert usage.pids is not None
    assert (usage.pids.processes, usage.pids.threads) == (4, 6)
    assert usage.interfaces == ()
    (empty,) = await host.reader.sandboxes([(sandbox(parent="", netns=""), [])])
    assert (empty.cpu, empty.memory, empty.pids, empty.containers) == (None, None, None, ())


async def test_one_broken_network_does_not_spoil_the_list(host: Host) -> None:
    usages = await host.reader.sandboxes([(sandbox("broken"), []), (sandbox("s2"), [])])
    assert [usage.interfaces for usage in usages] == [(), (Interface("eth0", rx_bytes=1),)]
    assert usages[0].network_timestamp == 0


async def test_a_reading_is_given_out_again_within_the_period(tmp_path: Path) -> None:
    host = Host(tmp_path, period=10)

    async def usage(full: bool = False) -> ContainerUsage | None:
        return next(iter(await host.reader.containers([container("c1")], full=full)), None)

    host.cgroup("/pods/poduid-1/c1", 1)
    first = await usage()
    host.cgroup("/pods/poduid-1/c1", 2)
    assert await usage() == first
    full = await usage(full=True)
    assert full is not None
    assert full.pids is not None
    assert await usage() == full
    host.now += 10 * SECOND
    assert await usage() != full
    shutil.rmtree(tmp_path / "pods")
    host.now += 10 * SECOND
    assert await usage() is None


def test_whose_cgroup_a_parent_is() -> None:
    assert own_cgroup(CGROUPFS, sandbox()) == "/pods/poduid-1"
    assert own_cgroup(CGROUPFS, sandbox(parent="/pods")) == ""
    assert own_cgroup(CGROUPFS, sandbox(parent="")) == ""
    slices = "/kubepods.slice/kubepods-poduid_1.slice"
    assert own_cgroup(CgroupDriver.SYSTEMD, sandbox(parent=slices)) == slices
    assert own_cgroup(CgroupDriver.SYSTEMD, sandbox(parent="/not-a-slice")) == ""
