"""Capabilities of a container's first process."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from cricket.errors import InvalidArgument, PermissionDenied
from cricket.oci.capability_names import CAPABILITIES, DEFAULT_CAPABILITIES
from cricket.types.security import ContainerSecurity


def process_capabilities(
    security: ContainerSecurity, available: Collection[str], defaults: Iterable[str] | None = None
) -> dict[str, list[str]]:
    """The `capabilities` of the process, in the kernel's order.

    The order of work is that of containerd and CRI-O: "ALL" to add or to drop sets the start, then single ones are
    added, then dropped. `available` ("CAP_...") is what the daemon may give: a default or "ALL" takes what is there,
    a single one that is not there raises PermissionDenied. Inheritable stays empty but for ambient ones, which the
    kernel grants only together (capabilities(7)). An unknown name raises InvalidArgument.
    """
    wanted = security.capabilities
    if security.privileged:
        chosen = set(available)
    else:
        chosen = {_name(c, "default_capabilities") for c in (DEFAULT_CAPABILITIES if defaults is None else defaults)}
        chosen &= set(available)
        if _has_all(wanted.add):
            chosen = set(available)
        if _has_all(wanted.drop):
            chosen = set()
        chosen |= _single(wanted.add, "add_capabilities", available)
        chosen -= {_name(c, "drop_capabilities") for c in wanted.drop if c.upper() != "ALL"}
    ambient = _single(wanted.add_ambient, "add_ambient_capabilities", available)
    if _has_all(wanted.add_ambient):
        ambient |= chosen
    ordered = _ordered(chosen | ambient)
    result = {"bounding": ordered, "effective": list(ordered), "permitted": list(ordered)}
    if ambient:
        result["inheritable"] = _ordered(ambient)
        result["ambient"] = _ordered(ambient)
    return result


def _has_all(names: Iterable[str]) -> bool:
    return any(n.upper() == "ALL" for n in names)


def _single(names: Iterable[str], field: str, available: Collection[str]) -> set[str]:
    found = {_name(n, field) for n in names if n.upper() != "ALL"}
    missing = found - set(available)
    if missing:
        raise PermissionDenied(
            f"the daemon itself does not have {', '.join(sorted(missing))} and cannot give it", where=field
        )
    return found


def _name(name: str, field: str) -> str:
    upper = name.upper()
    full = upper if upper.startswith("CAP_") else "CAP_" + upper
    if full not in CAPABILITIES:
        raise InvalidArgument(f"unknown capability {name[:64]!r}", where=field)
    return full


def _ordered(names: Collection[str]) -> list[str]:
    return [c for c in CAPABILITIES if c in names]
