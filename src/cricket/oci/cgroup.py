"""Names of a container's cgroup, for the runtime (`linux.cgroupsPath`) and for whoever reads its files."""

from __future__ import annotations

from cricket.errors import InvalidArgument
from cricket.oci import check
from cricket.types.node import CgroupDriver

SCOPE_PREFIX = "cri-cricket"
_DEFAULT_PARENT = {CgroupDriver.CGROUPFS: "/cricket", CgroupDriver.SYSTEMD: "system.slice"}


def cgroups_path(parent: str, container_id: str, driver: CgroupDriver) -> str:
    """OCI `linux.cgroupsPath`: "<parent>/<id>", or with systemd "<slice>:cri-cricket:<id>".

    The kubelet sends path style with both drivers; systemd wants the last slice of the path. "" means a default parent.
    Raises InvalidArgument.
    """
    if driver == CgroupDriver.SYSTEMD:
        return f"{slice_name(parent)}:{SCOPE_PREFIX}:{container_id}"
    return f"{_cgroupfs_parent(parent)}/{container_id}"


def cgroup_dir(parent: str, container_id: str, driver: CgroupDriver) -> str:
    """The same cgroup as a path below the root of each hierarchy, beginning with "/"."""
    if driver == CgroupDriver.SYSTEMD:
        return f"{slice_path(slice_name(parent))}/{SCOPE_PREFIX}-{container_id}.scope"
    return cgroups_path(parent, container_id, driver)


def parent_dir(parent: str, driver: CgroupDriver) -> str:
    """The pod's cgroup as a path below the root of each hierarchy, beginning with "/"."""
    return slice_path(slice_name(parent)) if driver == CgroupDriver.SYSTEMD else _cgroupfs_parent(parent)


def slice_name(parent: str) -> str:
    """The last component of a cgroup parent, which must be a slice."""
    name = check.text(parent, "cgroup_parent").rstrip("/").rsplit("/", 1)[-1] or _DEFAULT_PARENT[CgroupDriver.SYSTEMD]
    stem = name.removesuffix(".slice")
    bad = stem == name or ":" in name or (stem != "-" and (stem.startswith("-") or stem.endswith("-") or "--" in stem))
    if bad or not stem:
        raise InvalidArgument(f"{name[:200]!r} is no slice, which the systemd driver needs", where="cgroup_parent")
    return name


def slice_path(name: str) -> str:
    """ "a-b.slice" -> "/a.slice/a-b.slice" (systemd.slice(5)); the root slice "-.slice" -> ""."""
    stem = name.removesuffix(".slice")
    if stem == "-":
        return ""
    parts = stem.split("-")
    return "".join(f"/{'-'.join(parts[: i + 1])}.slice" for i in range(len(parts)))


def _cgroupfs_parent(parent: str) -> str:
    path = check.absolute_path("/" + (parent or _DEFAULT_PARENT[CgroupDriver.CGROUPFS]), "cgroup_parent")
    return "" if path == "/" else path
