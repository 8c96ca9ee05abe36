"""Limits of whole pods, as values and as files; where hierarchies are found; what systemd is told."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import pytest
from kubelet_pods import NODE, pod
from msgspec.structs import replace

from cricket.errors import Internal
from cricket.kubelet.cgroup_parent import cgroup_parent
from cricket.kubelet.cgroups import slices
from cricket.kubelet.cgroups.hierarchy import Hierarchy, Tree, hierarchies
from cricket.kubelet.cgroups.limits import Limits, class_shares, pod_limits, v1_files, v2_files, weight
from cricket.kubelet.cgroups.pods import PodCgroups
from cricket.kubelet.failure import FailedCreatePodContainer
from cricket.kubelet.qos import QOSClass

MIB = 1 << 20
TWO = """\
containers:
- {name: a, image: i, resources: {requests: {cpu: 100m}, limits: {memory: 10Mi, cpu: 500m}}}
- {name: b, image: i, resources: {limits: {memory: 20Mi LIMIT}}}
"""


def test_best_effort() -> None:
    assert pod_limits(pod(), NODE) == Limits(2)
    assert pod_limits(pod(), NODE, pids=7).pids == 7


def test_guaranteed_with_overhead() -> None:
    limits = pod_limits(pod("overhead: {cpu: 100m, memory: 6Mi}", "resources: {limits: {cpu: 1, memory: 10Mi}}"), NODE)
    assert limits == Limits(1126, 110_000, 16 * MIB)


def test_a_limit_is_of_the_pod_when_all_containers_have_one() -> None:
    limits = pod_limits(pod(TWO.replace("LIMIT", "")), NODE)
    assert (limits.shares, limits.quota, limits.memory) == (102, None, 30 * MIB)
    assert pod_limits(pod(TWO.replace("LIMIT", ", cpu: 250m")), NODE).quota == 75_000
    init = "initContainers: [{name: i, image: i}]\n" + TWO.replace("LIMIT", "")
    assert pod_limits(pod(init), NODE).memory is None


def test_the_pods_own_limit() -> None:
    limits = pod_limits(pod("resources: {limits: {cpu: 2, memory: 100Mi}, requests: {memory: 50Mi}}"), NODE)
    assert limits == Limits(2048, 200_000, 100 * MIB)


def test_huge_pages() -> None:
    node = replace(NODE, hugepage_sizes=("2MB", "1GB"))
    asked = pod(container="resources: {limits: {hugepages-2Mi: 4Mi, memory: 10Mi, cpu: 1}}")
    assert pod_limits(asked, node).hugepages == {"2MB": 4 * MIB, "1GB": 0}
    assert ("hugetlb", "hugetlb.2MB.limit_in_bytes", str(4 * MIB)) in v1_files(pod_limits(asked, node))


def test_classes() -> None:
    burstable = pod(container="resources: {requests: {cpu: 300m}}")
    guaranteed = pod(container="resources: {limits: {cpu: 1, memory: 10Mi}}")
    found = class_shares([burstable, burstable, guaranteed, pod()])
    assert found == {QOSClass.BURSTABLE: 614, QOSClass.BEST_EFFORT: 2}
    assert class_shares([])[QOSClass.BURSTABLE] == 2


def test_files() -> None:
    some = Limits(1024, 50_000, 4096, 10)
    assert [text for _, _, text in v1_files(some)] == ["1024", "100000", "50000", "4096", "10"]
    assert [text for _, _, text in v1_files(Limits())] == ["2", "100000", "-1", "-1", "max"]
    assert [text for _, _, text in v2_files(some)] == ["39", "50000 100000", "4096", "10"]
    assert [text for _, _, text in v2_files(Limits())] == ["1", "max 100000", "max", "max"]
    assert weight(262144) == 10000


def test_widened() -> None:
    one, other = Limits(10, 1000, 50, 5, {"2MB": 1}), Limits(5, 2000, None, 6, {"2MB": 3})
    assert one.widened(other) == Limits(10, 2000, None, 6, {"2MB": 3})


MOUNTINFO = """\
25 1 0:22 / /sys/fs/cgroup rw shared:1 - tmpfs tmpfs rw
26 25 0:23 / /sys/fs/cgroup/cpu,cpuacct rw shared:2 - cgroup cgroup rw,cpu,cpuacct
27 25 0:24 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd
28 25 0:25 / /elsewhere/where/it/is/long rw - cgroup cgroup rw,memory
29 25 0:25 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory
30 25 0:26 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw,nsdelegate
"""


def test_hierarchies(tmp_path: Path) -> None:
    (tmp_path / "mountinfo").write_text(MOUNTINFO)
    assert hierarchies(str(tmp_path / "mountinfo")) == (
        Hierarchy("/sys/fs/cgroup/cpu,cpuacct", frozenset({"cpu", "cpuacct"})),
        Hierarchy("/sys/fs/cgroup/systemd", frozenset({"name=systemd"})),
        Hierarchy("/sys/fs/cgroup/memory", frozenset({"memory"})),
        Hierarchy("/sys/fs/cgroup/unified", frozenset(), True),
    )


def test_files_are_written_where_they_are(tmp_path: Path) -> None:
    """On v2; a file that the kernel does not have is left out. (Directories stand for cgroups.)"""
    (tmp_path / "cgroup.subtree_control").write_text("")
    tree = Tree((Hierarchy(str(tmp_path), unified=True),))
    tree.make("/a/pod1")
    tree.make("/a/pod1")
    (tmp_path / "a/pod1/memory.max").write_text("")
    tree.write("/a/pod1", Limits(memory=4096))
    assert (tmp_path / "a/pod1/memory.max").read_text() == "4096"
    assert not (tmp_path / "a/pod1/cpu.max").exists()
    assert (tmp_path / "cgroup.subtree_control").read_text().startswith("+pids"), "the last that was switched on"
    assert tree.children("/a") == {"pod1"} and tree.exists("/a/pod1")
    (tmp_path / "a/pod1/memory.max").unlink()
    tree.remove("/a/pod1")
    tree.remove("/a/pod1")
    assert not tree.exists("/a/pod1")


async def test_pods_come_and_go(tmp_path: Path) -> None:
    there = [pod(), pod(container="resources: {requests: {cpu: 1}}")]
    left = list(there)
    made = PodCgroups(NODE, lambda: left, tree=Tree((Hierarchy(str(tmp_path), unified=True),)))
    for one in there:
        await made.ensure(one)
    assert all((tmp_path / cgroup_parent(one, NODE)[1:]).is_dir() for one in there)
    (tmp_path / "cricketpods/other").mkdir()
    while left:
        await made.remove(left.pop(0))
    assert [str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")] == ["cricketpods", "cricketpods/other"]
    (tmp_path / "cricketpods/other").rmdir()
    await made.remove(there[0])
    assert not list(tmp_path.iterdir())


async def test_what_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "cricketpods").write_text("")
    made = PodCgroups(NODE, list, tree=Tree((Hierarchy(str(tmp_path), unified=True),)))
    with pytest.raises(FailedCreatePodContainer, match=r"unable to ensure pod container exists: .*: Not a directory"):
        await made.ensure(pod())


@pytest.mark.parametrize(("refused", "failing"), [((), False), (("Start",), False), (("Start", "is-active"), True)])
async def test_systemd_is_told(monkeypatch: pytest.MonkeyPatch, refused: tuple[str, ...], failing: bool) -> None:
    """A slice is started, or changed if it runs: with the same properties. Nothing is set of one that is not there."""
    told: list[tuple[str, ...]] = []

    async def run(*command: str, **_: object) -> object:
        told.append(command[7:] if command[0] == "busctl" else command)

        async def communicate() -> tuple[bytes, bytes]:
            return b"", b"no such unit"

        return SimpleNamespace(
            communicate=communicate, returncode=int(any(word.startswith(refused or "-none") for word in command))
        )

    monkeypatch.setattr("asyncio.create_subprocess_exec", run)
    limits = Limits(1024, 50_000, None, 10)
    with pytest.raises(Internal, match="no such unit") if failing else nullcontext():
        await slices.make("/a.slice/a-b.slice", limits, True)
    none = str((1 << 64) - 1)
    given: tuple[str, ...] = ("4", "CPUWeight", "t", "39", "CPUQuotaPerSecUSec", "t", "500000", "MemoryMax", "t", none)
    given += ("TasksMax", "t", "10")
    asked = ("systemctl", "--system", "--quiet", "is-active", "a-b.slice")
    calls = [
        ("StartTransientUnit", "ssa(sv)a(sa(sv))", "a-b.slice", "replace", *given, "0"),
        asked,
        ("SetUnitProperties", "sba(sv)", "a-b.slice", "true", *given),
    ]
    assert told == calls[: 1 if not refused else 2 if failing else 3]
    assert slices.properties(limits, False)[1::3] == ["CPUShares", "CPUQuotaPerSecUSec", "MemoryLimit", "TasksMax"]
