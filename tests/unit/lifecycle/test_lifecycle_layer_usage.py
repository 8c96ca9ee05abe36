"""Writable layers are measured beside the event loop, and large ones rarely."""

from __future__ import annotations

import asyncio
import threading

import pytest

from cricket.errors import NotFound
from cricket.lifecycle import layer_usage
from cricket.lifecycle.layer_usage import LayerUsage
from cricket.types.image import FsUsage


class _Disk:
    """Layers whose walk takes as long as the clock is told."""

    def __init__(self) -> None:
        self.now = 100.0
        self.cost: dict[str, float] = {}
        self.walked: list[str] = []
        self.open = threading.Event()
        self.open.set()
        self.usage = LayerUsage(self.measure, clock=lambda: self.now)

    def measure(self, key: str) -> FsUsage:
        assert threading.current_thread() is not threading.main_thread()
        self.open.wait(10)
        self.walked.append(key)
        if key not in self.cost:
            raise NotFound("there is nothing to measure", where=key)
        self.now += self.cost[key]
        return FsUsage("/", len(self.walked), 1, 0)


async def test_small_layers_are_measured_at_each_request() -> None:
    disk = _Disk()
    disk.cost["a"] = 0.0
    for expected in (1, 2, 3):
        await disk.usage.refresh(["a"])
        found = disk.usage.get("a")
        assert found is not None and found.used_bytes == expected


async def test_large_layers_rest_twenty_times_as_long_as_they_took() -> None:
    disk = _Disk()
    disk.cost["a"] = 3.0
    await disk.usage.refresh(["a"])
    disk.now += 59
    await disk.usage.refresh(["a"])
    assert disk.walked == ["a"]
    disk.now += 2
    await disk.usage.refresh(["a"])
    assert disk.walked == ["a", "a"]


async def test_a_request_does_not_wait_for_a_walk_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layer_usage, "_FIRST_WAIT", 0.05)
    disk = _Disk()
    disk.cost["a"] = 0.0
    disk.open.clear()
    await disk.usage.refresh(["a"])
    assert disk.usage.get("a") is None
    disk.open.set()
    await disk.usage.refresh(["a"])
    assert disk.usage.get("a") is not None


async def test_all_that_are_due_are_measured_even_when_one_is_slow() -> None:
    disk = _Disk()
    disk.cost = {"a": 5.0, "b": 5.0, "c": 0.0}
    await disk.usage.refresh(["a", "b", "c", "gone"])
    assert disk.walked == ["a", "b", "c", "gone"]
    assert disk.usage.get("c") is not None and disk.usage.get("gone") is None


async def test_what_is_removed_meanwhile_is_not_remembered() -> None:
    disk = _Disk()
    disk.cost["a"] = 0.0
    disk.open.clear()
    waiting = asyncio.ensure_future(disk.usage.refresh(["a"]))
    while not disk.usage._wanted:
        await asyncio.sleep(0)
    disk.usage.forget("a")
    disk.open.set()
    await waiting
    assert disk.usage.get("a") is None
