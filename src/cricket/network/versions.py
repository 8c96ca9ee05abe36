"""Versions of the CNI specification: which ones we speak, and which one a configuration gets."""

from __future__ import annotations

from collections.abc import Iterable

from cricket.errors import InvalidArgument

SUPPORTED = ("0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0")
NEWEST = SUPPORTED[-1]

# A configuration without cniVersion is from before the key existed (libcni reads it so too).
UNNAMED = "0.1.0"

CHECK = (0, 4, 0)  # first version with CHECK and with prevResult on DEL
GC_STATUS = (1, 1, 0)  # first version with GC and STATUS


def key(version: str) -> tuple[int, int, int]:
    """For comparing: "1.0.0" is (1, 0, 0), "1.0" too; a pre-release suffix is refused. Raises InvalidArgument."""
    parts = version.split(".")
    if not 1 <= len(parts) <= 3 or not all(p.isascii() and p.isdigit() and len(p) < 6 for p in parts):
        raise InvalidArgument(f"not a CNI version: {version!r}", todo='Write it like "1.0.0"')
    numbers = [int(p) for p in parts] + [0, 0]
    return numbers[0], numbers[1], numbers[2]


def at_least(version: str, first: tuple[int, int, int]) -> bool:
    """Whether `version` has a feature that came with `first`."""
    return key(version) >= first


def candidates(versions: Iterable[str]) -> tuple[str, ...]:
    """Those of `versions` that we speak, newest first, each once."""
    found = {key(v): v for v in versions}
    ours = {key(v): v for v in SUPPORTED}
    return tuple(ours[k] for k in sorted(found.keys() & ours.keys(), reverse=True))
