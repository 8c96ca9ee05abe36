"""The files and the shared memory that the containers of a sandbox have in common."""

from __future__ import annotations

import os
import re
import socket

from cricket.kernel import mounts
from cricket.kernel.effects import effect
from cricket.kernel.files import atomic_write, make_dir
from cricket.lifecycle.layout import Layout
from cricket.types.mount import Mount
from cricket.types.sandbox import Dns, Sandbox, SandboxConfig
from cricket.types.security import NamespaceMode

SHM_SIZE = 64 << 20
HOST_SHM = "/dev/shm"
_HOSTS = (
    "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\nff02::1\tip6-allnodes\nff02::2\tip6-allrouters\n"
)


def hostname(box: Sandbox) -> str:
    """What the pod calls itself: its own name, the host's when it shares the host's network and has none."""
    return hostname_of(box.config)


def hostname_of(config: SandboxConfig) -> str:
    """The same, before there is a sandbox."""
    if config.hostname:
        return config.hostname
    if config.security.namespaces.network is NamespaceMode.NODE:
        return socket.gethostname()
    return re.sub(r"[^A-Za-z0-9.-]+", "-", config.metadata.name)[:63]


def write_files(layout: Layout, box: Sandbox) -> None:
    """Write hostname, hosts and resolv.conf. Idempotent. Raises Internal."""
    files = {
        "hostname": hostname(box) + "\n",
        "hosts": hosts(box),
        "resolv.conf": resolv_conf(box.config.dns),
    }
    for name, text in files.items():
        atomic_write(layout.sandbox_file(box.id, name), text.encode(), durable=False)


def hosts(box: Sandbox) -> str:
    """/etc/hosts: the host's for pods in its network, else localhost and the pod itself."""
    if box.config.security.namespaces.network is NamespaceMode.NODE:
        try:
            with open("/etc/hosts", encoding="utf-8", errors="replace") as f:
                return f.read()
        except FileNotFoundError:
            return _HOSTS
    return _HOSTS + "".join(f"{ip}\t{hostname(box)}\n" for ip in box.ips)


def resolv_conf(dns: Dns | None) -> str:
    """resolv.conf as asked for, or the host's when the request has no DNS configuration at all."""
    if dns is None or not (dns.servers or dns.searches or dns.options):
        try:
            with open("/etc/resolv.conf", encoding="utf-8", errors="replace") as f:
                return f.read()
        except FileNotFoundError:
            return ""
    lines = []
    if dns.searches:
        lines.append("search " + " ".join(dns.searches))
    lines += [f"nameserver {server}" for server in dns.servers]
    if dns.options:
        lines.append("options " + " ".join(dns.options))
    return "\n".join(lines) + "\n"


def mount_shm(layout: Layout, box: Sandbox, size: int = SHM_SIZE) -> None:
    """Mount the pod's /dev/shm, `size` bytes. Raises Internal."""
    options = []
    userns = box.config.security.namespaces.userns
    if userns is not None and userns.mode is NamespaceMode.POD:
        options += [f"uid={userns.uids[0].host_id}", f"gid={userns.gids[0].host_id}"]
    mount_plain_shm(layout, box.id, size, *options)


def mount_plain_shm(layout: Layout, sandbox_id: str, size: int, *more: str) -> None:
    """The same by the id alone, with `more` options of the mount. Raises Internal."""
    path = layout.sandbox_file(sandbox_id, "shm")
    make_dir(path)
    options = ("nosuid", "nodev", "noexec", "mode=1777", f"size={size}", *more)
    mounts.perform(Mount(type="tmpfs", source="shm", options=options), path)
    effect("mount shm")


def shm_source(layout: Layout, box: Sandbox) -> str:
    """What containers bind at /dev/shm: the pod's, or the host's when the pod shares the host's IPC namespace."""
    if box.config.security.namespaces.ipc is NamespaceMode.NODE:
        return HOST_SHM
    path = layout.sandbox_file(box.id, "shm")
    return path if os.path.isdir(path) else HOST_SHM
