"""mount(8) and umount(8). The agent is a client and has no part in the engine's kernel room."""

from __future__ import annotations

import asyncio
import os
import re

from cricket.errors import Internal, map_errors

_OCTAL = re.compile(r"\\([0-7]{3})")


async def mount(*args: str, where: str) -> None:
    """Run mount(8). Raises Internal with what it said."""
    await _run("mount", *args, where=where)


async def unmount(path: str) -> None:
    """Unmount, at once if nobody uses it, else as soon as nobody does; nothing when nothing is mounted there."""
    path = os.path.realpath(path)
    for _ in range(100):  # Mounts may lie on top of each other.
        if path not in await asyncio.to_thread(mount_points, path):
            return
        try:
            await _run("umount", "--no-canonicalize", path, where=path)
        except Internal:
            await _run("umount", "--no-canonicalize", "--lazy", path, where=path)


def mount_points(below: str) -> list[str]:
    """Mount points at or below a path, as real paths, the deepest and latest first. Slow where there are thousands."""
    below = os.path.realpath(below)
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
        points = [_OCTAL.sub(lambda m: chr(int(m[1], 8)), line.split(" ", 5)[4]) for line in file]
    found = [point for point in points if point == below or point.startswith(below.rstrip("/") + "/")]
    return sorted(reversed(found), key=lambda point: -point.count("/"))


async def _run(*command: str, where: str) -> None:
    with map_errors(OSError, Internal, f"cannot run {command[0]}", where=where, todo="util-linux has it"):
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
    try:
        _, said = await process.communicate()
    except asyncio.CancelledError:
        # What it began is found in the mount table; a zombie would stay.
        await asyncio.shield(process.wait())
        raise
    if process.returncode:
        raise Internal(f"{command[0]} failed: {' '.join(said.decode(errors='replace').split())}", where=where)
