"""Sysctls that belong to a namespace, and so to a pod."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

from cricket.errors import InvalidArgument
from cricket.oci import check

_IPC = frozenset(
    ["kernel.sem", "kernel.shmall", "kernel.shmmax", "kernel.shmmni", "kernel.shm_rmid_forced"]
    + ["kernel.msgmax", "kernel.msgmnb", "kernel.msgmni"]
)
_UTS = frozenset(["kernel.hostname", "kernel.domainname"])
_NAME = re.compile(r"[A-Za-z0-9_\-*:@]+([./][A-Za-z0-9_\-*:@]+)*")


def namespace_of(key: str) -> str | None:
    """ "net", "ipc" or "uts", or None for a sysctl of the whole host. Dots and slashes separate alike (sysctl.d(5))."""
    dotted = key.replace("/", ".")
    if dotted.startswith("net."):
        return "net"
    if dotted in _IPC or dotted.startswith("fs.mqueue."):
        return "ipc"
    return "uts" if dotted in _UTS else None


def check_sysctls(sysctls: Mapping[str, str], own: Collection[str]) -> dict[str, str]:
    """The sysctls when each belongs to a namespace that the pod has for itself (`own`: kinds "net", "ipc", "uts").

    Raises InvalidArgument otherwise: set in the host's namespace it would change the host.
    """
    for key, value in sysctls.items():
        check.text(value, f"sysctl {key[:200]!r}")
        kind = namespace_of(key) if _NAME.fullmatch(key) and ".." not in key else None
        if kind is None:
            raise InvalidArgument(f"sysctl {key[:200]!r} is not namespaced: it would change the whole host")
        if kind not in own:
            raise InvalidArgument(
                f"sysctl {key!r} needs a {kind} namespace of the pod's own, but the pod uses the host's"
            )
    return dict(sysctls)
