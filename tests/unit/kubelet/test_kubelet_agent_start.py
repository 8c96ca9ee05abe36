"""An agent whose runtime is away when it begins."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from kubelet_pods import NODE
from msgspec.structs import replace

from cricket._proto.cri import api_pb2 as pb
from cricket.client.errors import RemoteError
from cricket.errors import Code
from cricket.kubelet.agent import Agent
from cricket.kubelet.worker_parts import Settings


class _Away:
    """Refuses three times, then it is there, and empty."""

    def __init__(self) -> None:
        self.asked = 0

    async def call(self, method: str, /, **fields: Any) -> Any:
        self.asked += 1
        if self.asked <= 3:
            raise RemoteError(Code.UNAVAILABLE, "connection refused")
        return pb.ListPodSandboxResponse() if method == "ListPodSandbox" else pb.ListContainersResponse()

    async def stream(self, method: str, /, **fields: Any) -> AsyncIterator[Any]:
        raise RemoteError(Code.UNIMPLEMENTED, "no events here")
        yield


async def test_it_waits_for_the_runtime(tmp_path: Path) -> None:
    settings = Settings(relist=0.001, pod_cgroups=False)
    node = replace(NODE, root=str(tmp_path), log_root=str(tmp_path / "logs"))
    agent = Agent(_Away(), node, settings, {})  # type: ignore[arg-type]  # only `call` and `stream` are used
    assert not agent.synced
    work = asyncio.create_task(agent.run())
    async with asyncio.timeout(10):
        while not agent.synced and not work.done():
            await asyncio.sleep(0.001)
    assert agent.synced and not work.done()
    work.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await work
