"""Huge pages of a cgroup (Documentation/admin-guide/cgroup-v1/hugetlb.rst, cgroup-v2.rst "HugeTLB")."""

from __future__ import annotations

import contextlib
import functools
import os

from cricket.kernel.cgroup_files import number
from cricket.kernel.cgroup_paths import Layout, Mode
from cricket.types.stats import HugetlbUsage

_SIZES = "/sys/kernel/mm/hugepages"


def hugetlb(layout: Layout, path: str) -> tuple[HugetlbUsage, ...]:
    """Usage for each size of page; empty without the controller. v2 keeps no maximum."""
    directory = layout.directory("hugetlb", path)
    if directory is None:
        return ()
    now, most = ("current", "") if layout.mode is Mode.V2 else ("usage_in_bytes", "max_usage_in_bytes")
    found = []
    for size in page_sizes():
        usage = number(f"{directory}/hugetlb.{size}.{now}")
        if usage is not None:
            found.append(HugetlbUsage(size, usage, number(f"{directory}/hugetlb.{size}.{most}") if most else None))
    return tuple(found)


@functools.cache
def page_sizes() -> tuple[str, ...]:
    """The kernel's sizes, as the names of control files have them ("2MB"); smallest first."""
    kibibytes = []
    with contextlib.suppress(FileNotFoundError):
        kibibytes = sorted(int(name[10:-2]) for name in os.listdir(_SIZES) if name.startswith("hugepages-"))
    return tuple(size_name(size) for size in kibibytes)


def size_name(kib: int) -> str:
    """2048 -> "2MB", as the names of control files have it (units of 1024)."""
    for unit in ("KB", "MB"):
        if kib < 1024:
            return f"{kib}{unit}"
        kib //= 1024
    return f"{kib}GB"
