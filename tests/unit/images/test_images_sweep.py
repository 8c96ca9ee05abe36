"""The periodic sweep of the image store."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from cricket.config.model import Images
from cricket.errors import Internal
from cricket.images import sweep
from cricket.images.gc import Collected
from cricket.images.sweep import Sweep


class Store:
    """Counts collections; each waits until it is let go."""

    def __init__(self) -> None:
        self.ages: list[float] = []
        self.began, self.let_go = asyncio.Event(), asyncio.Event()
        self.ended = 0
        self.error: Exception | None = None

    async def collect(self, *, min_age: float) -> Collected:
        self.ages.append(min_age)
        self.began.set()
        await self.let_go.wait()
        self.ended += 1
        if self.error:
            raise self.error
        return Collected(("sha256:a",), (), 5 << 20)

    async def swept(self, times: int) -> None:
        """Until so many have begun."""
        while len(self.ages) < times:
            self.began.clear()
            await asyncio.wait_for(self.began.wait(), 5)


def made(store: Store, **config: Any) -> Sweep:
    return Sweep(store, Images(**config))  # type: ignore[arg-type]  # a fake


async def test_it_sweeps_at_once_and_then_by_the_interval(caplog: pytest.LogCaptureFixture) -> None:
    store = Store()
    store.let_go.set()
    one = made(store, gc_interval=0.001, gc_min_age=7)
    with caplog.at_level("INFO"):
        one.start()
        await store.swept(3)
        await one.stop()
    await one.stop()
    assert set(store.ages) == {7}
    assert "1 blobs and layers" in caplog.text
    assert "5 MiB" in caplog.text


async def test_without_an_interval_once_until_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweep, "_LOOK_AGAIN", 0.001)
    store = Store()
    store.let_go.set()
    one = made(store, gc_interval=0, gc_min_age=7)
    one.start()
    await store.swept(1)
    await asyncio.sleep(0.01)
    assert store.ages == [7]
    one.config = msgspec.structs.replace(one.config, gc_interval=0.001, gc_min_age=8)
    await store.swept(2)
    assert store.ages[1] == 8
    await one.stop()


async def test_a_failure_is_told_and_it_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    store = Store()
    store.let_go.set()
    store.error = Internal("the disk is gone")
    one = made(store, gc_interval=0.001)
    one.start()
    await store.swept(2)
    await one.stop()
    assert "the disk is gone" in caplog.text


async def test_a_stop_waits_for_a_sweep_under_way() -> None:
    store = Store()
    one = made(store)
    one.start()
    await store.swept(1)
    stopping = asyncio.ensure_future(one.stop())
    await asyncio.sleep(0)
    assert not stopping.done()
    store.let_go.set()
    await asyncio.wait_for(stopping, 5)
    assert store.ended == 1
