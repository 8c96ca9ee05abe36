"""Limits, cgroup names, sysctls, user namespaces, host facts."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest

from cricket.errors import FailedPrecondition, InvalidArgument
from cricket.kernel.cgroup_hugetlb import size_name
from cricket.oci import resources as module
from cricket.oci.cgroup import cgroup_dir, cgroups_path, parent_dir
from cricket.oci.host import HostFacts, kernel_version
from cricket.oci.namespaces import check_user_namespace
from cricket.oci.resources import linux_resources, oom_score_adj
from cricket.oci.sysctls import check_sysctls, namespace_of
from cricket.types.node import CgroupDriver
from cricket.types.resources import Hugepage, Resources
from cricket.types.security import IdMapping, NamespaceMode, UserNamespace

V2 = HostFacts(cgroup_version=2, swap=True, hugepage_sizes=frozenset(["2MB"]))
V1 = HostFacts(cgroup_version=1)
SYSTEMD, CGROUPFS = CgroupDriver.SYSTEMD, CgroupDriver.CGROUPFS


def test_nothing_asked_for() -> None:
    assert linux_resources(Resources(), V2) == {}


def test_everything() -> None:
    asked = Resources(
        cpu_period=100000, cpu_quota=50000, cpu_shares=1, memory_limit=100, cpuset_cpus="0-1,3", cpuset_mems="0",
        hugepages=(Hugepage("2MB", 4), Hugepage("1GB", 0)), unified={"memory.high": "90"},
    )  # fmt: skip
    assert linux_resources(asked, V2) == {
        "cpu": {"period": 100000, "quota": 50000, "shares": 2, "cpus": "0-1,3", "mems": "0"},
        "memory": {"limit": 100, "swap": 100},
        "hugepageLimits": [{"pageSize": "2MB", "limit": 4}],
        "unified": {"memory.high": "90"},
    }


@pytest.mark.parametrize(
    ("limit", "swap", "accounting", "expected"),
    [
        (100, 0, True, {"limit": 100, "swap": 100}),
        (100, 150, True, {"limit": 100, "swap": 150}),
        (100, -1, True, {"limit": 100, "swap": -1}),
        (-1, 0, True, {"limit": -1, "swap": -1}),
        (100, 150, False, {"limit": 100}),
    ],
)
def test_swap(limit: int, swap: int, accounting: bool, expected: Any) -> None:
    host = HostFacts(swap=accounting)
    assert linux_resources(Resources(memory_limit=limit, memory_swap_limit=swap), host)["memory"] == expected


@pytest.mark.parametrize(
    "asked",
    [
        Resources(cpu_period=999),
        Resources(cpu_period=10_000_000),
        Resources(cpu_quota=1),
        Resources(cpu_shares=-1),
        Resources(memory_limit=-2),
        Resources(memory_limit=1 << 63),
        Resources(memory_limit=100, memory_swap_limit=50),
        Resources(memory_swap_limit=50),
        Resources(cpuset_cpus="0;rm"),
        Resources(cpuset_mems="\n"),
        Resources(hugepages=(Hugepage("../x", 1),)),
        Resources(hugepages=(Hugepage("2MB", -1),)),
        Resources(unified={"cgroup.procs": "1"}),
        Resources(unified={"../x": "1"}),
        Resources(unified={"memory.high": "a\0b"}),
    ],
)
def test_absurd_limits(asked: Resources) -> None:
    with pytest.raises(InvalidArgument):
        linux_resources(asked, V2)


def test_what_the_host_lacks() -> None:
    with pytest.raises(FailedPrecondition, match="v2"):
        linux_resources(Resources(unified={"memory.high": "1"}), V1)
    with pytest.raises(FailedPrecondition, match="1GB"):
        linux_resources(Resources(hugepages=(Hugepage("1GB", 1),)), V2)


def test_oom_score_is_clamped_and_said_once(caplog: pytest.LogCaptureFixture) -> None:
    module._told.clear()
    poor = HostFacts(oom_score_adj_min=10)
    with caplog.at_level(logging.WARNING):
        assert [oom_score_adj(v, poor) for v in (-998, -5, 10, 500)] == [10, 10, 10, 500]
    assert len(caplog.records) == 1
    assert oom_score_adj(-998, HostFacts()) == -998
    with pytest.raises(InvalidArgument):
        oom_score_adj(1001, poor)


def test_cgroup_names() -> None:
    assert cgroups_path("/kubepods/burstable/podx", "id", CGROUPFS) == "/kubepods/burstable/podx/id"
    assert cgroups_path("", "id", CGROUPFS) == "/cricket/id"
    assert cgroups_path("/", "id", CGROUPFS) == "/id"
    parent = "/kubepods.slice/kubepods-pod1_2.slice"
    assert cgroups_path(parent, "id", SYSTEMD) == "kubepods-pod1_2.slice:cri-cricket:id"
    assert cgroup_dir(parent, "id", SYSTEMD) == f"{parent}/cri-cricket-id.scope"
    assert cgroup_dir("", "id", SYSTEMD) == "/system.slice/cri-cricket-id.scope"
    assert parent_dir("a-b-c.slice", SYSTEMD) == "/a.slice/a-b.slice/a-b-c.slice"
    assert parent_dir("-.slice", SYSTEMD) == ""
    assert parent_dir("/kubepods", CGROUPFS) == "/kubepods"


@pytest.mark.parametrize("parent", ["/a/../b", "/a\0"])
def test_hostile_cgroup_parents(parent: str) -> None:
    with pytest.raises(InvalidArgument, match="cgroup_parent"):
        cgroups_path(parent, "id", CGROUPFS)


@pytest.mark.parametrize("parent", ["/kubepods", ".slice", "a--b.slice", "-a.slice", "a:b.slice", "a\0.slice"])
def test_what_is_no_slice(parent: str) -> None:
    with pytest.raises(InvalidArgument, match=r"slice|NUL"):
        cgroups_path(parent, "id", SYSTEMD)


@pytest.mark.parametrize(
    ("key", "kind"),
    [
        ("net.ipv4.ip_forward", "net"),
        ("net/ipv4/conf/eth0.1/forwarding", "net"),
        ("kernel.shm_rmid_forced", "ipc"),
        ("fs.mqueue.msg_max", "ipc"),
        ("kernel.domainname", "uts"),
        ("kernel.panic", None),
        ("vm.swappiness", None),
    ],
)
def test_namespaces_of_sysctls(key: str, kind: str | None) -> None:
    assert namespace_of(key) == kind


def test_sysctls_need_an_own_namespace() -> None:
    asked = {"net.ipv4.ip_forward": "1", "kernel.sem": "1 2 3 4"}
    assert check_sysctls(asked, {"net", "ipc"}) == asked
    with pytest.raises(InvalidArgument, match="host's"):
        check_sysctls(asked, {"ipc"})
    for key in ("kernel.panic", "net.ipv4/../../kernel/panic", "net..x", "net.", "net/../x", "", "net.a\0b"):
        with pytest.raises(InvalidArgument, match="not namespaced"):
            check_sysctls({key: "1"}, {"net", "ipc", "uts"})


ONE = (IdMapping(host_id=1000, container_id=0, length=10),)


def test_user_namespaces() -> None:
    pod = UserNamespace(mode=NamespaceMode.POD, uids=ONE, gids=ONE)
    assert check_user_namespace(pod) == pod
    assert check_user_namespace(None) is None
    assert check_user_namespace(UserNamespace()) is None


@pytest.mark.parametrize(
    "userns",
    [
        UserNamespace(mode=NamespaceMode.CONTAINER),
        UserNamespace(mode=NamespaceMode.TARGET),
        UserNamespace(mode=NamespaceMode.POD),
        UserNamespace(mode=NamespaceMode.NODE, uids=ONE),
        UserNamespace(mode=NamespaceMode.POD, uids=ONE * 2, gids=ONE),
        UserNamespace(mode=NamespaceMode.POD, uids=ONE, gids=(IdMapping(1000, 1, 10),)),
        UserNamespace(mode=NamespaceMode.POD, uids=ONE, gids=(IdMapping(1000, 0, 0),)),
        UserNamespace(mode=NamespaceMode.POD, uids=ONE, gids=(IdMapping((1 << 32) - 5, 0, 10),)),
    ],
)
def test_bad_user_namespaces(userns: UserNamespace) -> None:
    with pytest.raises(InvalidArgument, match="userns_options"):
        check_user_namespace(userns)


def test_host_facts_of_a_v2_host(tmp_path: Path) -> None:
    proc, sys = tmp_path / "proc", tmp_path / "sys"
    files = {
        proc / "self/status": "CapBnd:\t0000000000000021\nSeccomp:\t0\n",
        proc / "self/uid_map": "         0          0 4294967295\n",
        proc / "self/oom_score_adj": "-7\n",
        proc / "self/mountinfo": f"30 20 0:26 / {sys}/fs/cgroup rw - cgroup2 c rw,nsdelegate,memory_recursiveprot\n",
        proc / "self/ns/user": "",
        proc / "sys/user/max_user_namespaces": "100\n",
        sys / "fs/cgroup/cgroup.controllers": "cpu memory hugetlb\n",
        sys / "fs/cgroup/a.slice/memory.swap.max": "max",
        sys / "kernel/mm/hugepages/hugepages-2048kB/x": "",
        sys / "kernel/mm/hugepages/hugepages-1048576kB/x": "",
        sys / "module/apparmor/parameters/enabled": "Y\n",
    }
    for path, content in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    facts = HostFacts.gather(str(proc), str(sys))
    assert facts.cgroup_version == 2
    assert facts.controllers == {"cpu", "memory", "hugetlb"}
    assert facts.cgroup2_flags == ("nsdelegate", "memory_recursiveprot")
    assert facts.capabilities == {"CAP_CHOWN", "CAP_KILL"}
    assert facts.hugepage_sizes == {"2MB", "1GB"}
    assert facts.swap
    assert facts.apparmor
    assert facts.user_namespaces
    assert not facts.selinux
    assert facts.oom_score_adj_min == -7
    assert not facts.may_raise_rlimits


def test_host_facts_of_nothing(tmp_path: Path) -> None:
    facts = HostFacts.gather(str(tmp_path), str(tmp_path))
    assert facts.cgroup_version == 1
    assert facts.capabilities == frozenset()
    assert not facts.seccomp


def test_small_parsers() -> None:
    assert kernel_version("6.1.0-13-amd64") == (6, 1)
    assert kernel_version("weird") == (0, 0)
    assert [size_name(k) for k in (64, 2048, 1048576, 16777216)] == ["64KB", "2MB", "1GB", "16GB"]
