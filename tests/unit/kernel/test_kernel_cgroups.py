"""Making, removing, freezing and killing on trees of plain directories (the real thing is in tests/integration)."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from cricket.errors import DeadlineExceeded, Internal, Unavailable
from cricket.kernel.cgroup_freeze import freeze, thaw
from cricket.kernel.cgroup_kill import kill_all
from cricket.kernel.cgroup_paths import Layout, Mode
from cricket.kernel.cgroups import ensure, exists, remove
from cricket.types.node import CgroupDriver


@pytest.fixture
def v1(tmp_path: Path) -> Layout:
    for name in ("memory", "cpuset", "freezer"):
        (tmp_path / name).mkdir()
    return Layout(Mode.V1, {name: str(tmp_path / name) for name in ("memory", "cpuset", "freezer")})


@pytest.fixture
def v2(tmp_path: Path) -> Layout:
    return Layout(Mode.V2, {"": str(tmp_path)})


def test_made_in_every_hierarchy_and_removed_again(v1: Layout, tmp_path: Path) -> None:
    (tmp_path / "cpuset" / "cpuset.cpus").write_text("0-1\n")
    (tmp_path / "cpuset" / "cpuset.mems").write_text("0\n")
    assert not exists(v1, "/pods/a")
    assert ensure(v1, CgroupDriver.CGROUPFS, "/pods/a")
    assert not ensure(v1, CgroupDriver.CGROUPFS, "/pods/a")
    assert exists(v1, "/pods/a")
    for path in ("pods", "pods/a"):
        assert (tmp_path / "cpuset" / path / "cpuset.cpus").read_text() == "0-1\n"
        assert (tmp_path / "cpuset" / path / "cpuset.mems").read_text() == "0\n"
    for path in ("pods/a", "pods"):
        for file in ("cpuset.cpus", "cpuset.mems"):
            (tmp_path / "cpuset" / path / file).unlink()
    (tmp_path / "memory" / "pods/a/nested/deep").mkdir(parents=True)
    remove(v1, "/pods/a")
    remove(v1, "/pods/a")
    assert not exists(v1, "/pods/a")
    assert exists(v1, "/pods")


def test_v2_parents_hand_their_controllers_down(v2: Layout, tmp_path: Path) -> None:
    (tmp_path / "cgroup.controllers").write_text("memory\n")
    ensure(v2, CgroupDriver.CGROUPFS, "/pods/a")
    assert (tmp_path / "cgroup.subtree_control").read_text() == "+memory"


def test_systemd_makes_its_own(v2: Layout) -> None:
    assert not ensure(v2, CgroupDriver.SYSTEMD, "/pods.slice")
    assert not exists(v2, "/pods.slice")


def test_the_root_is_left_alone(v2: Layout, tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    remove(v2, "")
    assert (tmp_path / "x").is_dir()


def test_what_cannot_be_made_is_named(v2: Layout, tmp_path: Path) -> None:
    (tmp_path / "pods").write_text("")
    with pytest.raises(Internal, match=str(tmp_path / "pods/a")):
        ensure(v2, CgroupDriver.CGROUPFS, "/pods/a")


def test_what_cannot_be_removed_is_named(v2: Layout, tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "file").write_text("")
    with pytest.raises(Unavailable, match=str(tmp_path / "a")):
        remove(v2, "/a", timeout=0.01)


def test_nothing_to_kill(v1: Layout, v2: Layout) -> None:
    kill_all(v1, "/gone")
    kill_all(v2, "/gone")


def test_survivors_are_named(v2: Layout, tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "cgroup.procs").write_text("4194399\n")
    (tmp_path / "a" / "cgroup.kill").write_text("")
    with pytest.raises(DeadlineExceeded, match="/a: 4194399"):
        kill_all(v2, "/a", timeout=0.01)
    assert (tmp_path / "a" / "cgroup.kill").read_text() == "1"


def test_freezing_says_whether_it_worked(v1: Layout, v2: Layout, tmp_path: Path) -> None:
    assert freeze(v1, "/gone", 0.01) is None
    assert freeze(v2, "/gone", 0.01) is None
    thaw(v1, "/gone")
    (tmp_path / "freezer" / "a").mkdir()
    assert freeze(v1, "/a", 0.01) is True
    assert (tmp_path / "freezer/a/freezer.state").read_text() == "FROZEN"
    thaw(v1, "/a")
    assert (tmp_path / "freezer/a/freezer.state").read_text() == "THAWED"
    (tmp_path / "b").mkdir()
    (tmp_path / "b/cgroup.events").write_text("populated 1\nfrozen 0\n")
    assert freeze(v2, "/b", 0.01) is False
    assert (tmp_path / "b/cgroup.freeze").read_text() == "1"
    (tmp_path / "b/cgroup.events").write_text("populated 1\nfrozen 1\n")
    assert freeze(v2, "/b", 0.01) is True
    with pytest.raises(DeadlineExceeded):
        thaw(v2, "/b", 0.01)
    assert not os.path.exists(tmp_path / "gone")
