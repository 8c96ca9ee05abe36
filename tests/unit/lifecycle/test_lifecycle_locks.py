"""Locks by id: in turn, forgotten when free, given up when cancelled."""

from __future__ import annotations

import asyncio

import pytest

from cricket.lifecycle.operations import Locks


async def test_holders_of_one_id_take_turns_and_others_do_not_wait() -> None:
    locks, order = Locks(), []

    async def hold(key: str, name: str) -> None:
        async with locks.hold(key):
            order.append(name)
            await asyncio.sleep(0)
            order.append(name)

    await asyncio.gather(hold("a", "1"), hold("a", "2"), hold("b", "3"), hold("a", "4"))
    assert [name for name in order if name != "3"] == ["1", "1", "2", "2", "4", "4"]
    assert order.index("3") < order.index("2")


async def test_a_free_lock_is_forgotten() -> None:
    locks = Locks()
    with pytest.raises(ZeroDivisionError):
        async with locks.hold("a"):
            1 // 0  # noqa: B018  (raises)
    async with locks.hold("a"):
        pass
    assert not locks._locks


async def test_who_gives_up_waiting_takes_nobodys_turn() -> None:
    locks = Locks()
    async with locks.hold("a"):
        waiting = [asyncio.ensure_future(locks.hold("a").__aenter__()) for _ in range(2)]
        await asyncio.sleep(0)
        waiting[0].cancel()
        await asyncio.sleep(0)
        assert not waiting[1].done()
    await asyncio.wait_for(waiting[1], 5)
    assert waiting[0].cancelled()
