"""Version numbers in what programs print."""

from __future__ import annotations

import re

Version = tuple[int, ...]


def number(text: str) -> Version | None:
    """The first version in a text: "crun version 1.8.1" is (1, 8, 1); None without one."""
    match = re.search(r"(?<![\w.])v?(\d+)\.(\d+)(?:\.(\d+))?", text)
    return tuple(int(part) for part in match.groups() if part is not None) if match else None


def older(version: Version, than: Version) -> bool:
    """Whether `version` comes before `than`; release candidates count as the release."""
    return version < than


def dotted(version: Version) -> str:
    """(1, 8, 1) as "1.8.1"."""
    return ".".join(map(str, version))
