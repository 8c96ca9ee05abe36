"""Inotify: events, removal, the vanished directory, overflow and failing callbacks."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from cricket.errors import NotFound
from cricket.kernel import inotify
from cricket.kernel.inotify import Event, Inotify


class Seen:
    """Collects events and lets a test wait for one that fits."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self._more = asyncio.Event()

    def __call__(self, event: Event) -> None:
        self.events.append(event)
        self._more.set()

    async def wait(self, fits: Callable[[Event], bool]) -> Event:
        async with asyncio.timeout(5):
            while True:
                for event in self.events:
                    if fits(event):
                        return event
                self._more.clear()
                await self._more.wait()


async def test_events_carry_the_name(tmp_path: Path) -> None:
    watch, seen = Inotify(), Seen()
    try:
        wd = watch.add(str(tmp_path), inotify.CLOSE_WRITE | inotify.MOVED_TO, seen)
        (tmp_path / "a").write_text("x")
        (tmp_path / "a").rename(tmp_path / "böse\nname")
        assert (await seen.wait(lambda e: e.name == "a")).wd == wd
        assert (await seen.wait(lambda e: e.name == "böse\nname")).mask == inotify.MOVED_TO
    finally:
        watch.close()


async def test_removed_watch_is_silent(tmp_path: Path) -> None:
    watch, gone, kept = Inotify(), Seen(), Seen()
    one, two = tmp_path / "one", tmp_path / "two"
    one.mkdir()
    two.mkdir()
    try:
        wd = watch.add(str(one), inotify.CREATE, gone)
        watch.add(str(two), inotify.CREATE, kept)
        watch.remove(wd)
        watch.remove(wd)
        (one / "x").touch()
        (two / "y").touch()
        await kept.wait(lambda e: e.name == "y")
        assert gone.events == []
    finally:
        watch.close()


async def test_vanished_directory_ends_with_ignored(tmp_path: Path) -> None:
    watch, seen = Inotify(), Seen()
    sub = tmp_path / "sub"
    sub.mkdir()
    try:
        watch.add(str(sub), inotify.CREATE, seen)
        sub.rmdir()
        await seen.wait(lambda e: bool(e.mask & inotify.IGNORED))
    finally:
        watch.close()


async def test_missing_path_is_not_found(tmp_path: Path) -> None:
    watch = Inotify()
    try:
        with pytest.raises(NotFound, match="no such file"):
            watch.add(str(tmp_path / "missing"), inotify.CREATE, Seen())
        (tmp_path / "file").touch()
        with pytest.raises(NotFound, match="not a directory"):
            watch.add(str(tmp_path / "file"), inotify.CREATE | inotify.ONLYDIR, Seen())
    finally:
        watch.close()
        watch.close()
    assert watch.fileno() == -1


async def test_overflow_reaches_everyone_and_a_failing_callback_harms_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch, seen, failures = Inotify(), Seen(), []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: failures.append(context["exception"]))

    def broken(_event: Event) -> None:
        raise ValueError("mine")

    one, two = tmp_path / "one", tmp_path / "two"
    one.mkdir()
    two.mkdir()
    try:
        watch.add(str(one), inotify.CREATE, broken)
        wd = watch.add(str(two), inotify.CREATE, seen)
        overflow = struct.pack("iIII", -1, inotify.Q_OVERFLOW, 0, 0)
        monkeypatch.setattr("cricket.kernel.inotify.os.read", lambda _fd, _size: overflow)
        watch._read()
        assert seen.events == [Event(inotify.Q_OVERFLOW, "", wd)]
        assert [str(e) for e in failures] == ["mine"]
    finally:
        monkeypatch.undo()
        watch.close()


def test_parse_several_events_with_padding() -> None:
    data = struct.pack("iIII", 1, 2, 0, 4) + b"ab\0\0" + struct.pack("iIII", 2, 0x8000, 0, 0)
    assert inotify.parse(data) == [Event(2, "ab", 1), Event(0x8000, "", 2)]
