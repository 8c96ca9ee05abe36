"""Exit files are told as they appear, whole, and once read they are what they were."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from cricket.monitor.exits import ExitWatch


class Watched:
    def __init__(self, directory: Path) -> None:
        self.told: asyncio.Queue[tuple[str, int, int]] = asyncio.Queue()
        self.directory = directory
        self.watch = ExitWatch(str(directory), lambda *exit_: self.told.put_nowait(exit_))

    async def next(self) -> tuple[str, int, int]:
        return await asyncio.wait_for(self.told.get(), 5)


@pytest.fixture
async def exits(tmp_path: Path) -> AsyncIterator[Watched]:
    made = Watched(tmp_path / "exits")
    made.watch.start()
    yield made
    made.watch.stop()
    made.watch.stop()


async def test_a_renamed_file_is_told_with_its_time(exits: Watched) -> None:
    temporary = exits.directory / "id.XYZ123"
    temporary.write_text("137")
    os.utime(temporary, ns=(5, 5))
    temporary.rename(exits.directory / "id")
    # The temporary name may be told, too, as nothing tells it apart; no container bears it.
    while (told := await exits.next())[0] != "id":
        assert told[0].startswith("id.")
    assert told == ("id", 137, 5)


async def test_a_file_written_in_place_is_told_when_it_is_closed(exits: Watched) -> None:
    with open(exits.directory / "id", "w") as f:
        f.write("3")
    assert (await exits.next())[:2] == ("id", 3)


@pytest.mark.parametrize("text", ["", "x", "3x", "-", "1 2"])
async def test_what_is_no_number_is_no_exit(exits: Watched, text: str) -> None:
    (exits.directory / "id").write_text(text)
    (exits.directory / "after").write_text("0")
    assert (await exits.next())[0] == "after"
    assert exits.watch.read("id") is None


async def test_many_at_once_are_all_told(exits: Watched) -> None:
    for n in range(500):
        (exits.directory / f"id{n}").write_text(str(n % 256))
    assert {(await exits.next())[:2] for _ in range(500)} == {(f"id{n}", n % 256) for n in range(500)}


async def test_past_exits_are_read_and_forgotten(tmp_path: Path) -> None:
    exits = Watched(tmp_path)
    (tmp_path / "old").write_text("9\n")
    exits.watch.start()
    assert exits.told.empty()
    found = exits.watch.read("old")
    assert found is not None
    assert found[0] == 9
    for _ in range(2):
        exits.watch.forget("old")
    assert exits.watch.read("old") is None
    exits.watch.stop()
