"""A pod network for `cricket run` on a machine that has none: a bridge, as `cricket network init` writes it."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Sequence

from cricket.errors import FailedPrecondition

BRIDGE = "cricket0"
_CONFIGURATIONS = (".conf", ".conflist", ".json")
_MAIN = "import sys; from cricket.cli.main import main; sys.exit(main())"


def configured(directories: Sequence[str]) -> bool:
    """Whether one of the directories has a network configuration."""
    return any(
        entry.endswith(_CONFIGURATIONS)
        for directory in directories
        if os.path.isdir(directory)
        for entry in os.listdir(directory)
    )


async def provide(directory: str) -> None:
    """Write one to `directory`, unless there is one. Raises FailedPrecondition."""
    if await asyncio.to_thread(configured, [directory]):
        return
    words = ("network", "init", "--bridge", BRIDGE, "--conf-dir", directory)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", _MAIN, *words),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    _, said = await process.communicate()
    if process.returncode:
        what = said.decode(errors="replace").strip().removeprefix("cricket: ")
        raise FailedPrecondition(f"no network for the pod could be made: {what}", where=directory)
