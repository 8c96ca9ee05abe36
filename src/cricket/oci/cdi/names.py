"""Names of CDI devices: "vendor.com/class=device"."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from cricket.errors import InvalidArgument

ANNOTATION_PREFIX = "cdi.k8s.io/"
_KIND = r"[A-Za-z](?:[A-Za-z0-9_.\-]*[A-Za-z0-9])?"
_DEVICE = r"[A-Za-z0-9](?:[A-Za-z0-9_.:\-]*[A-Za-z0-9])?"
_QUALIFIED = re.compile(f"({_KIND})/({_KIND})=({_DEVICE})")


def check_qualified(name: str) -> str:
    """`name` when it is qualified and well-formed. Raises InvalidArgument."""
    if not _QUALIFIED.fullmatch(name):
        raise InvalidArgument(f"{name[:200]!r} is no CDI device name like vendor.com/class=device", where="cdi_devices")
    return name


def is_kind(text: str) -> bool:
    """Whether it is "vendor/class"."""
    return re.fullmatch(f"{_KIND}/{_KIND}", text) is not None


def is_device(text: str) -> bool:
    """Whether it is a device's name within its kind."""
    return re.fullmatch(_DEVICE, text) is not None


def requested(devices: Sequence[str], annotations: Mapping[str, str]) -> list[str]:
    """The devices of the CRI field, then those of cdi.k8s.io/ annotations (comma-separated), each once.

    Raises InvalidArgument for a malformed name.
    """
    names = list(devices)
    for key, value in sorted(annotations.items()):
        if key.startswith(ANNOTATION_PREFIX):
            names += value.split(",")
    return [check_qualified(n) for n in dict.fromkeys(names)]
