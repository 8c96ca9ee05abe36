"""Which hierarchies a host has, as its mount table says."""

from __future__ import annotations

from pathlib import Path

import pytest

from cricket.errors import FailedPrecondition
from cricket.kernel.cgroup_paths import Layout, Mode, detect, of_process

V2 = "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate,memory_recursiveprot\n"
V1 = """\
31 23 0:28 / /sys/fs/cgroup rw,relatime shared:5 - tmpfs tmpfs rw,mode=755
32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:6 - cgroup cgroup rw,cpu,cpuacct
33 31 0:31 / /sys/fs/cgroup/memory rw,relatime shared:8 - cgroup cgroup rw,memory
34 31 0:37 / /sys/fs/cgroup/systemd rw,relatime shared:14 - cgroup cgroup rw,xattr,name=systemd
"""
UNIFIED = "35 31 0:38 / /sys/fs/cgroup/unified rw,relatime shared:15 - cgroup2 cgroup2 rw\n"
ELSEWHERE = "36 1 0:29 / /mnt/cpu rw,relatime - cgroup cgroup rw,cpu,cpuacct\n"


def layout(tmp_path: Path, text: str) -> Layout:
    path = tmp_path / "mountinfo"
    path.write_text(text)
    return detect(mountinfo_path=str(path))


def test_unified(tmp_path: Path) -> None:
    found = layout(tmp_path, V2)
    assert found == Layout(Mode.V2, {"": "/sys/fs/cgroup"})
    assert found.directory("memory", "/a/b") == "/sys/fs/cgroup/a/b"
    assert found.directories("/a") == ["/sys/fs/cgroup/a"]


def test_v1_with_controllers_that_share_a_mount(tmp_path: Path) -> None:
    found = layout(tmp_path, V1 + ELSEWHERE)
    assert found.mode is Mode.V1
    assert found.mounts["cpu"] == found.mounts["cpuacct"] == "/sys/fs/cgroup/cpu,cpuacct"
    assert found.directory("memory", "/a") == "/sys/fs/cgroup/memory/a"
    assert found.directory("blkio", "/a") is None
    assert found.directories("/a") == [
        "/sys/fs/cgroup/cpu,cpuacct/a",
        "/sys/fs/cgroup/memory/a",
        "/sys/fs/cgroup/systemd/a",
    ]


def test_hybrid(tmp_path: Path) -> None:
    found = layout(tmp_path, V1 + UNIFIED)
    assert found.mode is Mode.HYBRID
    assert found.directories("/a")[-1] == "/sys/fs/cgroup/unified/a"


def test_named_hierarchies_alone_leave_the_unified_one_in_charge(tmp_path: Path) -> None:
    found = layout(tmp_path, V1.splitlines()[0] + "\n" + V1.splitlines()[3] + "\n" + UNIFIED)
    assert found == Layout(Mode.V2, {"": "/sys/fs/cgroup/unified"})


def test_none_at_all(tmp_path: Path) -> None:
    with pytest.raises(FailedPrecondition, match="no cgroup hierarchy is mounted"):
        layout(tmp_path, ELSEWHERE)


def test_the_cgroup_of_a_process(tmp_path: Path) -> None:
    (tmp_path / "7").mkdir()
    (tmp_path / "7" / "cgroup").write_text("9:name=systemd:/\n2:cpu,cpuacct:/k/p:x\n0::/k\n")
    assert of_process(7, str(tmp_path)) == {"name=systemd": "", "cpu": "/k/p:x", "cpuacct": "/k/p:x", "": "/k"}
    assert of_process(8, str(tmp_path)) is None
