"""What a probe found is remembered until anything changes that it depends on."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from cricket.oci import probe_cache, runtime_probe
from cricket.oci.inputs import RuntimeFeatures
from cricket.oci.runtime import Runtime
from cricket.oci.runtime_probe import Probe

FOUND = Probe(RuntimeFeatures("r", version="1.2", user_namespaces=True, mount_options=frozenset({"rro"})), usable=True)


class World:
    def __init__(self, directory: Path) -> None:
        self.binary = directory / "runtime"
        self.binary.write_text("#!/bin/sh\n")
        self.binary.chmod(0o755)
        self.state, self.place = directory / "state", directory / "place"
        self.place.mkdir()
        self.runtime = Runtime("r", str(self.binary), str(self.state))
        self.path = str(directory / "probe" / "r.json")

    def save(self, probe: Probe = FOUND) -> None:
        probe_cache.save(self.path, self.runtime, probe, str(self.place))

    def load(self) -> Probe | None:
        return probe_cache.load(self.path, self.runtime, str(self.place))


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_it_is_found_again(world: World) -> None:
    assert world.load() is None
    world.save()
    assert world.load() == FOUND


def replace_binary(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.binary.rename(f"{world.binary}.old")
    world.binary.write_text("#!/bin/sh\n")
    world.binary.chmod(0o755)


def touch_binary(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    os.utime(world.binary, ns=(1, 1))


def remove_binary(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.binary.unlink()


def reboot(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe_cache, "boot_id", lambda: "another")


def upgrade(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe_cache, "__version__", "999")


def settings(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.runtime = Runtime("r", str(world.binary), str(world.state), systemd_cgroup=True)


def cgroups(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe_cache, "_hybrid", lambda: "hugetlb rdma")


def criu(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        probe_cache.shutil, "which", lambda name: f"/new/{name}" if name == "criu" else str(world.binary)
    )


def damage(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    Path(world.path).write_text('{"depends": [')


def lose_place(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.place.rmdir()


@pytest.mark.parametrize(
    "change",
    [replace_binary, touch_binary, remove_binary, reboot, upgrade, settings, cgroups, criu, damage, lose_place],
    ids=lambda change: change.__name__,
)
def test_any_change_forgets_it(
    world: World, monkeypatch: pytest.MonkeyPatch, change: Callable[[World, pytest.MonkeyPatch], None]
) -> None:
    world.save()
    change(world, monkeypatch)
    assert world.load() is None


def test_what_is_broken_is_not_remembered(world: World) -> None:
    world.save(Probe(FOUND.features, usable=False, reason="no"))
    assert not os.path.exists(world.path)


def test_not_being_able_to_remember_is_no_error(world: World) -> None:
    Path(world.path).parent.write_text("in the way")
    world.save()
    assert world.load() is None


async def test_what_a_probe_left_is_removed_and_nothing_else(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    for directory in (world.state, world.place):
        for name in ("probe-abc", "f" * 64):
            (directory / name / "below").mkdir(parents=True)
    deleted = []

    async def delete(name: str, *, force: bool) -> None:
        deleted.append((name, force))

    monkeypatch.setattr(world.runtime, "delete", delete)
    await runtime_probe.sweep(world.runtime, str(world.place), f"{world.place}/nosuch")
    assert deleted == [("probe-abc", True)]
    assert os.listdir(world.place) == ["f" * 64]
