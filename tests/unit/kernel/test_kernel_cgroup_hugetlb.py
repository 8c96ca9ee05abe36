"""Huge pages on both kinds of hierarchies."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from cricket.kernel import cgroup_hugetlb
from cricket.kernel.cgroup_hugetlb import hugetlb, page_sizes
from cricket.kernel.cgroup_paths import UNIFIED, Layout, Mode
from cricket.types.stats import HugetlbUsage


@pytest.fixture(autouse=True)
def sizes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for kib in (1048576, 2048):
        (tmp_path / f"sizes/hugepages-{kib}kB").mkdir(parents=True)
    monkeypatch.setattr(cgroup_hugetlb, "_SIZES", str(tmp_path / "sizes"))
    page_sizes.cache_clear()
    yield
    page_sizes.cache_clear()


def test_v1_has_a_maximum(tmp_path: Path) -> None:
    (tmp_path / "hugetlb/c").mkdir(parents=True)
    for name, value in {"2MB.usage": 4 << 20, "2MB.max_usage": 6 << 20, "1GB.usage": 0, "1GB.max_usage": 0}.items():
        (tmp_path / f"hugetlb/c/hugetlb.{name}_in_bytes").write_text(f"{value}\n")
    found = hugetlb(Layout(Mode.V1, {"hugetlb": str(tmp_path / "hugetlb")}), "/c")
    assert found == (HugetlbUsage("2MB", 4 << 20, 6 << 20), HugetlbUsage("1GB", 0, 0))


def test_v2_has_none_and_a_size_may_be_missing(tmp_path: Path) -> None:
    (tmp_path / "c").mkdir()
    (tmp_path / "c/hugetlb.2MB.current").write_text("2097152\n")
    assert hugetlb(Layout(Mode.V2, {UNIFIED: str(tmp_path)}), "/c") == (HugetlbUsage("2MB", 2 << 20),)


def test_without_the_controller(tmp_path: Path) -> None:
    assert hugetlb(Layout(Mode.V1, {"memory": str(tmp_path)}), "/c") == ()
