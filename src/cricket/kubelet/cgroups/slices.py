"""Slices of systemd: it owns the tree, so a pod's cgroup is a transient unit, made over D-Bus by busctl(1)."""

from __future__ import annotations

import asyncio
import contextlib
import os

from cricket.errors import Internal, map_errors
from cricket.kubelet.cgroups.limits import Limits, weight
from cricket.kubelet.cri_resources import PERIOD

_MANAGER = ("org.freedesktop.systemd1", "/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager")
_NONE = (1 << 64) - 1


def properties(limits: Limits, unified: bool) -> list[str]:
    """busctl's words for an a(sv): their count, then name, type and value of each."""
    cpu = _NONE if limits.quota is None else limits.quota * 1_000_000 // PERIOD
    memory = _NONE if limits.memory is None else limits.memory
    found = {
        "CPUWeight" if unified else "CPUShares": weight(limits.shares) if unified else limits.shares,
        "CPUQuotaPerSecUSec": cpu,
        "MemoryMax" if unified else "MemoryLimit": memory,
        "TasksMax": _NONE if limits.pids is None else limits.pids,
    }
    return [str(len(found)), *(word for name, value in found.items() for word in (name, "t", str(value)))]


async def make(path: str, limits: Limits, unified: bool) -> None:
    """Start the slice that the last part of `path` names, or change the one that runs. Raises Internal."""
    name, words = os.path.basename(path), properties(limits, unified)
    try:
        await _call("SetUnitProperties", "sba(sv)", name, "true", *words)
    except Internal:  # there is none yet
        await _call("StartTransientUnit", "ssa(sv)a(sa(sv))", name, "replace", *words, "0")


async def stop(path: str) -> None:
    """Stop it with all in it. That there is none is no mistake; what is left then is a directory like others."""
    with contextlib.suppress(Internal):
        await _call("StopUnit", "ss", os.path.basename(path), "replace")


async def _call(method: str, *words: str) -> None:
    command = ("busctl", "--system", "--quiet", "call", *_MANAGER, method, *words)
    with map_errors(OSError, Internal, "cannot run busctl", todo="systemd has it"):
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
    _, said = await process.communicate()
    if process.returncode:
        raise Internal(f"systemd refuses {method}: {' '.join(said.decode(errors='replace').split())}", where=words[1])
