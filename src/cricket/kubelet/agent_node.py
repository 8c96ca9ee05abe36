"""The facts about this node and its runtime, asked once."""

from __future__ import annotations

import contextlib
import os
import socket
from typing import Any

from cricket.client.errors import RemoteError
from cricket.kubelet.loop_cri import Cri
from cricket.kubelet.node import Node


async def this_node(cri: Cri, **changes: Any) -> Node:
    """The node as it is, with `changes` to the fields of Node. Raises RemoteError when the runtime does not answer."""
    status = await cri.call("Status")
    systemd = False
    with contextlib.suppress(RemoteError):  # older runtimes do not know the question
        systemd = (await cri.call("RuntimeConfig")).linux.cgroup_driver == 0
    handlers = status.runtime_handlers
    facts: dict[str, Any] = {
        "name": socket.gethostname().lower(),
        "host_ips": _addresses(),
        "cpu_millis": (os.cpu_count() or 1) * 1000,
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "systemd": systemd,
        "unified_cgroups": os.path.exists("/sys/fs/cgroup/cgroup.controllers"),
        "hugepage_sizes": _hugepages(),
        "rro_handlers": frozenset(h.name for h in handlers if h.features.recursive_read_only_mounts),
        "userns_handlers": frozenset(h.name for h in handlers if h.features.user_namespaces),
        "groups_policy": status.features.supplemental_groups_policy,
    }
    return Node(**{**facts, **changes})


def _addresses() -> tuple[str, ...]:
    """The address of the default route, of each family; a UDP socket that is connected sends nothing."""
    found = []
    for family, target in ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1")):
        with contextlib.suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((target, 9))
            found.append(str(probe.getsockname()[0]))
    return tuple(found) or ("127.0.0.1",)


def _hugepages() -> tuple[str, ...]:
    sizes = []
    with contextlib.suppress(OSError):
        for name in os.listdir("/sys/kernel/mm/hugepages"):
            kib = int(name.removeprefix("hugepages-").removesuffix("kB"))
            sizes.append(f"{kib >> 20}GB" if kib >= 1 << 20 else f"{kib >> 10}MB" if kib >= 1 << 10 else f"{kib}KB")
    return tuple(sorted(sizes))
