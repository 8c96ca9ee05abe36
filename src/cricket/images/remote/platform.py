"""Which manifest of an index runs on this machine: the exact platform first, then what it can run too.

The order is containerd's: amd64/v3 runs v3, v2, v1, then 386; arm64 v8 and v9 variants run each lower one, then arm.
"""

from __future__ import annotations

import os
import re

import msgspec

_ARCHITECTURES = {
    "x86_64": "amd64", "x86-64": "amd64", "aarch64": "arm64", "i386": "386", "i486": "386", "i586": "386",
    "i686": "386", "armv5l": "arm", "armv6l": "arm", "armv7l": "arm", "armhf": "arm", "armel": "arm", "armv8l": "arm",
    "loongarch64": "loong64",
}  # fmt: skip
_UNAME_VARIANTS = {"armv5l": "v5", "armv6l": "v6", "armv7l": "v7", "armv8l": "v8", "aarch64": "v8"}
_VERSION = re.compile(r"v([0-9]+)(?:\.([0-9]+))?")
_LOWEST_ARM = 5


class Platform(msgspec.Struct, frozen=True):
    """As in an OCI descriptor; `variant` "" where the architecture has none."""

    os: str
    architecture: str
    variant: str = ""

    def __str__(self) -> str:
        return "/".join(part for part in (self.os, self.architecture, self.variant) if part)

    @classmethod
    def parse(cls, text: str) -> Platform:
        """The platform of a text like "linux/arm64/v8"; missing parts are empty."""
        system, _, rest = text.partition("/")
        architecture, _, variant = rest.partition("/")
        return cls(system, architecture, variant).normalized()

    def normalized(self) -> Platform:
        """With the architecture's usual name, and without the variant that is meant anyway."""
        architecture, variant = self.architecture.lower(), self.variant.lower()
        if architecture in ("armhf", "armel") and not variant:
            variant = "v7" if architecture == "armhf" else "v6"
        architecture = _ARCHITECTURES.get(architecture, architecture)
        if variant and variant[0].isdecimal():
            variant = f"v{variant}"
        if architecture == "arm" and not variant:
            variant = "v7"
        if (architecture, variant) in (("amd64", "v1"), ("arm64", "v8"), ("arm64", "v8.0"), ("arm64", "v9.0")):
            variant = "v9" if variant == "v9.0" else ""
        return Platform(self.os.lower(), architecture, variant)


def host_platform() -> Platform:
    """The platform of this machine."""
    machine = os.uname().machine
    return Platform("linux", machine, _UNAME_VARIANTS.get(machine, "")).normalized()


def runnable(platform: Platform) -> list[Platform]:
    """All platforms that this one can run, the best first."""
    system, architecture, variant = platform.os, platform.architecture, platform.variant
    major, minor = _version(variant)
    if architecture == "amd64":
        names = [f"v{n}" for n in range(major, 1, -1)] + [""]
        return [Platform(system, "amd64", name) for name in names] + [Platform(system, "386")]
    if architecture == "arm":
        names = [f"v{n}" for n in range(major, _LOWEST_ARM - 1, -1)] or [variant]
        return [Platform(system, "arm", name) for name in names]
    if architecture == "arm64":
        major, minor = (major, minor) if variant else (8, 0)
        pairs = [(major, n) for n in range(minor, -1, -1)]
        if major == 9:
            pairs += [(8, n) for n in range(minor + 5, -1, -1)]
        own = [Platform(system, "arm64", f"v{a}.{b}" if b else f"v{a}").normalized() for a, b in pairs]
        return own + runnable(Platform(system, "arm", "v8"))
    return [platform]


def rank(candidate: Platform, order: list[Platform]) -> int | None:
    """The place of a candidate in the order of `runnable`, None when it does not run here."""
    candidate = candidate.normalized()
    return order.index(candidate) if candidate in order else None


def _version(variant: str) -> tuple[int, int]:
    match = _VERSION.fullmatch(variant)
    return (int(match.group(1)), int(match.group(2) or 0)) if match and len(variant) < 8 else (0, 0)
