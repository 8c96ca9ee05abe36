"""Sysctls as the tuning plugin writes them: names with dots or slashes, below net, on the administrator's list."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable

from cricket.errors import Internal, map_errors
from cricket.network.builtin import sysctl
from cricket.network.builtin.base import Refused

ALLOWLIST = "/etc/cni/tuning/allowlist.conf"


def check_allowed(keys: Iterable[str]) -> None:
    """Raises Refused for a sysctl that matches no regular expression of the list; without the file all are allowed."""
    wanted = list(keys)
    if not wanted:
        return
    try:
        with (
            map_errors(OSError, Internal, "cannot read the list of allowed sysctls", where=ALLOWLIST),
            open(ALLOWLIST, encoding="utf-8") as f,
        ):
            patterns = [line.strip() for line in f if line.strip()]
    except Internal as e:
        if isinstance(e.__cause__, FileNotFoundError):
            return
        raise
    for key in wanted:
        try:
            if any(re.search(p, key) for p in patterns):
                continue
        except re.error as e:
            raise Refused(f"{ALLOWLIST} holds what is no regular expression", str(e)) from e
        raise Refused(f"the sysctl {key} is not allowed", f"{ALLOWLIST} allows {', '.join(patterns)}")


def write(key: str, value: str, ifname: str) -> None:
    """Set it. Raises Refused, Internal."""
    sysctl.write(_name(key, ifname), value)


def read(key: str, ifname: str) -> str:
    """The value. Raises Refused, Internal."""
    return sysctl.read(_name(key, ifname))


def _name(key: str, ifname: str) -> str:
    """Below /proc/sys; the first IFNAME stands for the pod's interface."""
    name = os.path.normpath(key.replace(".", "/").replace("IFNAME", ifname, 1)).lstrip("/")
    if not name.startswith("net/"):
        raise Refused(f"the sysctl {key} does not belong to the network")
    return name
