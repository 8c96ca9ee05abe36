"""The event bus: every reader gets everything in order, and none is waited for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from cricket.lifecycle import events
from cricket.lifecycle.events import EventBus
from cricket.types.event import Event, EventType


async def reader(bus: EventBus) -> tuple[AsyncIterator[Event], asyncio.Future[Event]]:
    """A subscription, and its first event to come."""
    subscription = bus.subscribe()
    first = asyncio.ensure_future(anext(subscription))
    await asyncio.sleep(0)
    return subscription, first


async def test_all_readers_get_what_comes_after_they_asked() -> None:
    bus = EventBus()
    bus.publish("before", "s", EventType.CREATED)
    (one, first), (two, second) = await reader(bus), await reader(bus)
    bus.publish("c", "s", EventType.CREATED)
    bus.publish("c", "s", EventType.STARTED)
    for subscription, event in ((one, first), (two, second)):
        got = [await event, await anext(subscription)]
        assert [(e.container_id, e.type) for e in got] == [("c", EventType.CREATED), ("c", EventType.STARTED)]
        await subscription.aclose()  # type: ignore[attr-defined]  # it is a generator


async def test_times_rise_even_when_the_clock_stands_still(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events.time, "time_ns", lambda: 5)
    bus = EventBus()
    subscription, first = await reader(bus)
    for _ in range(3):
        bus.publish("c", "s", EventType.CREATED)
    times = [(await first).timestamp, *[(await anext(subscription)).timestamp for _ in range(2)]]
    assert times == [5, 6, 7]


async def test_a_slow_reader_loses_the_oldest_and_holds_up_nobody(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(events, "_DEPTH", 3)
    bus = EventBus()
    subscription, first = await reader(bus)
    bus.publish("0", "s", EventType.CREATED)
    await first
    for n in range(1, 6):
        bus.publish(str(n), "s", EventType.CREATED)
    assert [(await anext(subscription)).container_id for _ in range(3)] == ["3", "4", "5"]
    assert "too slow" in caplog.text


async def test_a_reader_that_leaves_is_forgotten() -> None:
    bus = EventBus()
    subscription, first = await reader(bus)
    bus.publish("c", "s", EventType.CREATED)
    await first
    await subscription.aclose()  # type: ignore[attr-defined]  # it is a generator
    assert not bus._queues
    bus.publish("c", "s", EventType.CREATED)


async def test_a_reader_that_falls_behind_is_complained_of_once(caplog: pytest.LogCaptureFixture) -> None:
    bus = EventBus()
    subscription, first = await reader(bus)
    for _ in range(1500):
        bus.publish("c1", "b1", EventType.STARTED)
    assert len([r for r in caplog.records if "too slow" in r.message]) == 1
    await first
    await subscription.aclose()  # type: ignore[attr-defined]  # an async generator
