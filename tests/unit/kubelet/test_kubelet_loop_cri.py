"""Calls to the runtime that leave something behind."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from cricket.kubelet.loop_cri import Cri


class _Slow(Cri):
    """Answers when `go` is set."""

    def __init__(self) -> None:
        self.go, self.asked, self.done = asyncio.Event(), asyncio.Event(), False

    async def call(self, name: str, /, *, limit: float | None = None, **fields: Any) -> Any:
        self.asked.set()
        await self.go.wait()
        self.done = True
        return name


async def test_a_whole_call_ends_with_the_answer_also_when_it_is_cancelled() -> None:
    cri = _Slow()
    work = asyncio.create_task(cri.whole("RunPodSandbox"))
    await cri.asked.wait()
    work.cancel()
    await asyncio.sleep(0)
    assert not work.done()
    cri.go.set()
    with pytest.raises(asyncio.CancelledError):
        await work
    assert cri.done


async def test_a_second_cancellation_waits_no_longer() -> None:
    cri = _Slow()
    work = asyncio.create_task(cri.whole("RunPodSandbox"))
    await cri.asked.wait()
    for _ in range(2):
        work.cancel()
        await asyncio.sleep(0)
    with pytest.raises(asyncio.CancelledError):
        await work
    cri.go.set()


async def test_a_whole_call_answers() -> None:
    cri = _Slow()
    cri.go.set()
    assert await cri.whole("RunPodSandbox") == "RunPodSandbox"
