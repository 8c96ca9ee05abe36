"""Preparing moves between cgroups: what is written where, and that nothing of it can hurt."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from cricket.kernel.cgroup_moves import Moves
from cricket.kernel.cgroup_paths import UNIFIED, Layout, Mode


async def settled(moves: Moves) -> None:
    async with asyncio.timeout(5):
        while moves._running:
            await asyncio.sleep(0.002)


def cgroup(directory: Path, *pids: int) -> Path:
    directory.mkdir(parents=True)
    file = directory / "cgroup.procs"
    file.write_text("".join(f"{pid}\n" for pid in pids))
    return file


@pytest.mark.parametrize(
    ("mounts", "lines", "own"),
    [
        ({UNIFIED: "u"}, "0::/a/b\n", "u/a/b"),
        ({UNIFIED: "u", "pids": "p"}, "5:pids:/x\n0::/\n", "u"),
        ({"cpu": "c", "cpuacct": "c"}, "4:memory:/m\n3:cpu,cpuacct:/with:colon\n", "c/with:colon"),
        ({"name=systemd": "s"}, "1:name=systemd:/a\n", "s/a"),
    ],
)
async def test_the_daemon_moves_to_where_it_is(tmp_path: Path, mounts: dict[str, str], lines: str, own: str) -> None:
    proc = tmp_path / "proc"
    proc.write_text(lines)
    file = cgroup(tmp_path / own, 1, os.getpid())
    moves = Moves(Layout(Mode.V1, {name: str(tmp_path / mount) for name, mount in mounts.items()}), str(proc))
    for _ in range(2):
        moves.soon()
        await settled(moves)
        assert file.read_text() == "0"


async def test_a_cgroup_that_only_looks_like_ours_is_left_alone(tmp_path: Path) -> None:
    proc = tmp_path / "proc"
    proc.write_text("0::/a\n")
    file = cgroup(tmp_path / "u/a", 1, 999999999)
    moves = Moves(Layout(Mode.V2, {UNIFIED: str(tmp_path / "u")}), str(proc))
    moves.soon()
    await settled(moves)
    assert file.read_text() == "1\n999999999\n"


async def test_failures_are_nobody_s_business(tmp_path: Path) -> None:
    moves = Moves(Layout(Mode.V2, {UNIFIED: str(tmp_path / "u")}), str(tmp_path / "missing"))
    moves.soon()
    await settled(moves)
    (tmp_path / "missing").write_text("0::/gone\n")
    moves.soon()
    await settled(moves)


async def test_one_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[object] = []
    loop = asyncio.get_running_loop()
    monkeypatch.setattr(loop, "run_in_executor", lambda pool, work: started.append(work))
    moves = Moves(Layout(Mode.V2, {UNIFIED: str(tmp_path)}), str(tmp_path / "proc"))
    moves.soon()
    moves.soon()
    assert len(started) == 1


async def test_saying_it_again_prolongs_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    moves = Moves(Layout(Mode.V2, {UNIFIED: str(tmp_path)}), str(tmp_path / "proc"))
    written: list[int] = []

    def own() -> str:
        written.append(1)
        if len(written) == 1:
            moves._wanted = True  # somebody calls `soon` during the first one
        return ""

    monkeypatch.setattr(moves, "_own", own)
    moves.soon()
    await settled(moves)
    assert len(written) == 2
