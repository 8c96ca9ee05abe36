"""Mounts of an adjustment, applied to an OCI spec."""

from __future__ import annotations

import posixpath
from collections.abc import Sequence

from cricket.nri.plain import Plain

_PROPAGATION = ("rprivate", "rslave", "rshared")
# An option that asks the runtime for SELinux relabelling; no mount(2) flag, so it must not reach the OCI runtime.
_RELABEL = "relabel"


def apply_mounts(spec: Plain, mounts: Sequence[Plain]) -> None:
    """Remove, replace and add; then sort so that a mount point comes before what is mounted below it."""
    if not mounts:
        return
    result = list(spec.get("mounts", ()))
    for mount in mounts:
        destination = mount.get("destination", "").removeprefix("-")
        result = [each for each in result if each.get("destination") != destination]
        if mount.get("destination") == destination:
            result.append(_to_oci(mount))
            _raise_propagation(spec, mount.get("options", ()))
    spec["mounts"] = sorted(result, key=_order)


def _to_oci(mount: Plain) -> Plain:
    entry: Plain = {"destination": mount["destination"]}
    for name in ("type", "source"):
        if name in mount:
            entry[name] = mount[name]
    if options := [option for option in mount.get("options", ()) if option != _RELABEL]:
        entry["options"] = options
    return entry


def _raise_propagation(spec: Plain, options: Sequence[str]) -> None:
    """A shared (or slave) mount inside needs a root file system that is at least as shared."""
    wanted = next((option for option in reversed(options) if option in _PROPAGATION), "rprivate")
    linux = spec.setdefault("linux", {})
    current = linux.get("rootfsPropagation", "rprivate")
    rank = _PROPAGATION.index(current) if current in _PROPAGATION else 0
    if _PROPAGATION.index(wanted) > rank:
        linux["rootfsPropagation"] = wanted


def _order(mount: Plain) -> tuple[int, str]:
    path = posixpath.normpath(mount.get("destination", "/"))
    return (path.count("/"), path)
