"""Mounts of the kernel itself."""

from __future__ import annotations

import os
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from cricket.errors import Internal
from cricket.kernel import mounts
from cricket.kernel.namespaces import pin_user_namespaces, unpin
from cricket.oci.host import kernel_version
from cricket.types.mount import Mount

pytestmark = [pytest.mark.root, pytest.mark.skipif(os.getuid() != 0, reason="needs root")]


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path
    mounts.unmount_below(str(tmp_path))
    assert below(tmp_path) == []


def below(directory: Path) -> list[str]:
    return [point for point in mounts.mount_points() if point.startswith(f"{directory}/")]


def make(place: Path, *names: str) -> list[Path]:
    paths = [place / name for name in names]
    for path in paths:
        path.mkdir(parents=True)
    return paths


def options_of(path: Path) -> set[str]:
    with open("/proc/self/mountinfo") as f:
        return next(set(line.split()[5].split(",")) for line in f if line.split()[4] == str(path))


def test_a_bind_shows_the_same_files(place: Path) -> None:
    source, target = make(place, "source", "target")
    (source / "file").write_text("x")
    mounts.bind(str(source), str(target))
    assert (target / "file").read_text() == "x"
    assert mounts.is_mounted(str(target))
    (target / "new").touch()
    assert (source / "new").exists()


def test_a_read_only_bind_cannot_be_written_and_the_source_can(place: Path) -> None:
    source, target = make(place, "source", "target")
    mounts.bind(str(source), str(target), readonly=True)
    with pytest.raises(OSError, match="Read-only"):
        (target / "file").touch()
    (source / "file").touch()
    assert (target / "file").exists()


@pytest.mark.parametrize("recursive", [True, False])
def test_only_a_recursive_bind_takes_mounts_below_along(place: Path, recursive: bool) -> None:
    source, inner, target = make(place, "source", "source/inner", "target")
    mounts.perform(Mount("tmpfs", "tmpfs"), str(inner))
    (inner / "file").touch()
    mounts.bind(str(source), str(target), recursive=recursive)
    assert (target / "inner" / "file").exists() is recursive


def test_tmpfs_takes_size_and_flags(place: Path) -> None:
    (target,) = make(place, "target")
    mounts.perform(Mount("tmpfs", "shm", ("nosuid", "nodev", "noexec", "mode=1777", "size=65536")), str(target))
    info = os.statvfs(target)
    assert info.f_blocks * info.f_frsize == 65536
    assert stat.S_IMODE(target.stat().st_mode) == 0o1777
    assert {"nosuid", "nodev", "noexec"} <= options_of(target)


# By a string, as for kernels before 6.5, 200 layers do not fit: all options must fit into a page.
KERNEL = kernel_version(os.uname().release)
MANY = pytest.param(200, False, marks=pytest.mark.skipif(KERNEL < (6, 5), reason="all options must fit into a page"))


@pytest.mark.parametrize(("count", "by_string"), [(1, False), (3, False), MANY, (1, True), (30, True)])
def test_overlays_of_many_layers(place: Path, count: int, by_string: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if by_string:

        def old_kernel(*args: object) -> None:
            raise OSError(22, "Invalid argument")

        monkeypatch.setattr(mounts, "_overlay_by_fsconfig", old_kernel)
    name = "layers/a,b: {}" if count < 30 else "layers/{}"
    lowers = make(place, *(name.format(n) for n in range(count)))
    for n, lower in enumerate(lowers):
        (lower / f"from-{n}").touch()
        (lower / "same").write_text(str(n))
    target, upper, work = make(place, "target", "up,per", "wo,rk")
    names = tuple(str(path) for path in lowers)
    mounts.perform(Mount("overlay", "overlay", lowers=names, upper=str(upper), work=str(work)), str(target))
    assert (target / "same").read_text() == "0", "the first is on top"
    assert len(os.listdir(target)) == count + 1
    (target / "written").touch()
    assert os.listdir(upper) == ["written"]


def test_an_overlay_without_upper_is_read_only(place: Path) -> None:
    a, b, target = make(place, "a", "b", "target")
    (a / "file").touch()
    mounts.perform(Mount("overlay", "overlay", ("ro",), lowers=(str(a), str(b))), str(target))
    assert os.listdir(target) == ["file"]
    with pytest.raises(OSError, match="Read-only"):
        (target / "new").touch()


async def test_an_id_mapped_bind_shows_other_owners(place: Path) -> None:
    source, target = make(place, "source", "target")
    (source / "file").touch()
    os.chown(source / "file", 5, 6)
    pin = str(place / "userns")
    await pin_user_namespaces({"user": pin}, [(0, 100000, 1000)], [(0, 200000, 1000)])
    try:
        mounts.bind_idmapped(str(source), str(target), pin)
        info = (target / "file").stat()
        assert (info.st_uid, info.st_gid) == (100005, 200006)
        assert (source / "file").stat().st_uid == 5
        with pytest.raises(Internal, match="id-map the mount of"):
            mounts.bind_idmapped("/proc", str(target), pin)
    finally:
        unpin([pin])


def test_failures_name_both_ends(place: Path) -> None:
    with pytest.raises(Internal, match=rf"from {place}/nosuch.*\({place}\)"):
        mounts.bind(f"{place}/nosuch", str(place))
    with pytest.raises(Internal, match="target"):
        mounts.perform(Mount("bind", "/", ("bind",)), f"{place}/target")


def test_unmounting_takes_the_whole_stack_and_forgives(place: Path) -> None:
    (target,) = make(place, "target")
    for _ in range(3):
        mounts.perform(Mount("tmpfs", "tmpfs"), str(target))
    mounts.unmount(str(target))
    assert below(place) == []
    mounts.unmount(str(target))
    mounts.unmount(str(place / "nosuch"))


def test_a_busy_mount_is_unmounted_lazily(place: Path) -> None:
    (target,) = make(place, "target")
    mounts.perform(Mount("tmpfs", "tmpfs"), str(target))
    with open(target / "file", "w") as busy:
        mounts.unmount(str(target))
        assert below(place) == []
        busy.write("still works")
    os.rmdir(target)


def test_a_symlink_is_not_followed(place: Path) -> None:
    target, link = place / "target", place / "link"
    target.mkdir()
    link.symlink_to(target)
    mounts.perform(Mount("tmpfs", "tmpfs"), str(target))
    mounts.unmount(str(link))
    assert below(place) == [str(target)]


@pytest.mark.parametrize("name", ["plain", "with space", "tab\there", "back\\slash", "new\nline", "ümlaut"])
def test_mounts_below_are_found_whatever_their_names(place: Path, name: str) -> None:
    outer, inner, beside = make(place, name, f"{name}/inner", f"{name}-beside")
    mounts.perform(Mount("tmpfs", "tmpfs"), str(outer))
    inner.mkdir()
    for path in (inner, beside):
        mounts.perform(Mount("tmpfs", "tmpfs"), str(path))
    assert set(below(place)) == {str(outer), str(inner), str(beside)}
    mounts.unmount_below(str(outer))
    assert below(place) == [str(beside)]


def test_propagation_can_be_changed(place: Path) -> None:
    (target,) = make(place, "target")
    mounts.bind(str(target), str(target))
    for flag, word in ((mounts.MS_SHARED, "shared:"), (mounts.MS_PRIVATE, "")):
        mounts.set_propagation(str(target), flag)
        shown = subprocess.run(
            ["grep", f" {target} ", "/proc/self/mountinfo"], capture_output=True, text=True, check=True
        )
        assert ("shared:" in shown.stdout) is bool(word)
