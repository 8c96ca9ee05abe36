"""Mount points whose names hold what Python takes for the end of a line; pods that propagate mounts can make them."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from cricket.kernel import mountinfo, mounts
from cricket.oci import resolve
from cricket.types.container import Propagation, VolumeMount

pytestmark = pytest.mark.root


@pytest.fixture(params=["a\rb", "c\x85d", "e\u2028f", "g\x0ch", "i\\040j", "k#l m\nn"])
def point(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    directory = tmp_path / request.param
    directory.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "odd", directory], check=True)
    yield str(directory)
    subprocess.run(["umount", "-l", directory], check=False)


def test_it_is_seen_and_breaks_nothing(point: str) -> None:
    assert point in mounts.mount_points()
    assert [entry.point for entry in mountinfo.mounts() if entry.source == "odd"] == [point]
    assert mountinfo.mount_of(point).point == point


def test_its_propagation_is_found(point: str) -> None:
    subprocess.run(["mount", "--make-shared", point], check=True)
    volume = VolumeMount("/mnt", point, propagation=Propagation.BIDIRECTIONAL)
    assert resolve.resolve_mounts([volume])[0].source == point


def test_it_is_unmounted_with_what_is_above(point: str) -> None:
    mounts.unmount_below(str(Path(point).parent))
    assert point not in mounts.mount_points()
