"""Sysctls of the calling thread's network namespace, by path below /proc/sys ("net/ipv4/ip_forward")."""

from __future__ import annotations

import contextlib
import os

from cricket.errors import Internal, map_errors


def read(name: str) -> str:
    """The value. Raises Internal."""
    with map_errors(OSError, Internal, f"cannot read the sysctl {name}"):
        fd = os.open(f"/proc/sys/{name}", os.O_RDONLY | os.O_CLOEXEC)
        try:
            return os.read(fd, 4096).decode().strip()
        finally:
            os.close(fd)


def write(name: str, value: str) -> None:
    """Set it. Raises Internal."""
    with map_errors(OSError, Internal, f"cannot set the sysctl {name} to {value!r}"):
        fd = os.open(f"/proc/sys/{name}", os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(fd, value.encode())
        finally:
            os.close(fd)


def try_write(name: str, value: str) -> None:
    """Set it where the kernel has it (IPv6 may be off)."""
    with contextlib.suppress(Internal):
        write(name, value)


def ensure(name: str, value: str) -> None:
    """Set it unless it is so already. Raises Internal."""
    with contextlib.suppress(Internal):
        if read(name) == value:
            return
    write(name, value)


def forward(*, six: bool) -> None:
    """Let this namespace route packets of a family. Raises Internal."""
    ensure("net/ipv6/conf/all/forwarding" if six else "net/ipv4/ip_forward", "1")
