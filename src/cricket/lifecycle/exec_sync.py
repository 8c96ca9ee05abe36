"""ExecSync: run a command to its end and answer with its output."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from cricket.errors import DeadlineExceeded
from cricket.lifecycle import exec_start
from cricket.lifecycle.exec_process import ExecProcess
from cricket.lifecycle.parts import Parts
from cricket.types.stage import stage
from cricket.types.streams import STDOUT, ExecRequest, ExecResult


async def exec_sync(e: Parts, container_id: str, cmd: Sequence[str], timeout: float) -> ExecResult:
    """Run `cmd`; a non-zero exit code is no error. Output over the limit is cut (checklist 26).

    After `timeout` seconds (0: none) the command is killed and DeadlineExceeded raised.
    """
    process = await exec_start.start(e, ExecRequest(container_id=container_id, cmd=tuple(cmd)))
    with stage("command in the container", container_id):
        try:
            return await asyncio.wait_for(_collect(process, e.config.limits.exec_output), timeout or None)
        except TimeoutError as error:
            raise DeadlineExceeded(
                f"the command did not finish within {timeout:g} s and was killed", where=container_id
            ) from error
        finally:
            await asyncio.shield(process.close())


async def _collect(process: ExecProcess, limit: int) -> ExecResult:
    kept: dict[int, bytearray] = {}
    size = 0
    while (chunk := await process.read()) is not None:
        which, data = chunk
        kept.setdefault(which, bytearray()).extend(data[: max(0, limit - size)])
        size += len(data)
    code = await process.wait()
    return ExecResult(bytes(kept.pop(STDOUT, b"")), b"".join(bytes(v) for v in kept.values()), code)
