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
_PATIENCE = 10.0
"""Seconds for systemd to do what it is asked; a stop goes on without us."""


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
        await _call("StartTransientUnit", "ssa(sv)a(sa(sv))", name, "replace", *words, "0")
    except Internal:
        # Of a slice that is not there systemd keeps what it is told, for a later one: only what runs is changed.
        if not await _runs(name):
            raise
        await _call("SetUnitProperties", "sba(sv)", name, "true", *words)


async def stop(path: str) -> None:
    """Stop it with all in it, and wait a moment for that: who makes it anew must not meet one that is about to end.
    That there is none is no mistake; what is left then is a directory like others."""
    with contextlib.suppress(Internal):
        await _run("StopUnit", "systemctl", "--system", "--quiet", "stop", os.path.basename(path))


async def _runs(name: str) -> bool:
    try:
        await _run("is-active", "systemctl", "--system", "--quiet", "is-active", name)
    except Internal:
        return False
    return True


async def _call(method: str, *words: str) -> None:
    await _run(method, "busctl", "--system", "--quiet", "call", *_MANAGER, method, *words)


async def _run(what: str, *command: str) -> None:
    with map_errors(OSError, Internal, f"cannot run {command[0]}", todo="systemd has it"):
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
    try:
        async with asyncio.timeout(_PATIENCE):
            _, said = await process.communicate()
    except TimeoutError:
        raise Internal(f"systemd does not do {what} within {_PATIENCE:g} s", where=command[-1]) from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        raise Internal(f"systemd refuses {what}: {' '.join(said.decode(errors='replace').split())}")
