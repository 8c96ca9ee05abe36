"""The directories of runs: one owner each, found when the owner is gone."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from cricket.cli import podruns
from cricket.cli.podruns import Note, claimed, died
from cricket.cli.podsweep import node_of, sweep
from cricket.errors import FailedPrecondition


def test_a_run_leaves_nothing(tmp_path: Path) -> None:
    async def work() -> None:
        async with claimed(str(tmp_path)) as run:
            assert os.path.isdir(run.directory) and run.state == f"/run/cricket-{run.name}"
            assert node_of(run)["cgroup_root"] == f"/cricketpods-{run.name}"
            assert list(died(str(tmp_path))) == []
            async with claimed(str(tmp_path)) as other:
                assert other.name != run.name

    asyncio.run(work())
    assert list((tmp_path / "runs").iterdir()) == [] and list(died(str(tmp_path / "none"))) == []


def test_after_an_error_it_stays_to_be_looked_at(tmp_path: Path) -> None:
    async def work() -> None:
        async with claimed(str(tmp_path)) as run:
            run.note(Note(state="/run/x", endpoint="unix:///run/x/s"))
            raise FailedPrecondition("no")

    with pytest.raises(FailedPrecondition):
        asyncio.run(work())
    (found,) = died(str(tmp_path))
    assert found.noted() == Note(state="/run/x", endpoint="unix:///run/x/s")
    assert list(died(str(tmp_path))) == []  # ours now
    found.close()
    found.close()


_HOLD = """
import asyncio, sys
from cricket.cli.podruns import claimed
async def work():
    async with claimed(sys.argv[1]):
        print("ready", flush=True)
        await asyncio.sleep(60)
asyncio.run(work())
"""


def test_a_killed_owner_is_noticed_and_swept(tmp_path: Path) -> None:
    said: list[str] = []
    with subprocess.Popen([sys.executable, "-c", _HOLD, str(tmp_path)], stdout=subprocess.PIPE) as owner:
        assert owner.stdout and owner.stdout.readline() == b"ready\n"
        asyncio.run(sweep(str(tmp_path), said.append))
        assert len(list((tmp_path / "runs").iterdir())) == 1
        owner.kill()
    asyncio.run(sweep(str(tmp_path), said.append))
    assert list((tmp_path / "runs").iterdir()) == []
    assert said == []  # it had made nothing worth a word


def test_what_cannot_be_reached_is_left(tmp_path: Path) -> None:
    run = podruns._claim(str(tmp_path / "runs"))
    run.note(Note(endpoint=f"unix://{tmp_path}/gone.sock"))
    run.close()
    said: list[str] = []
    asyncio.run(sweep(str(tmp_path), said.append))
    assert os.path.isdir(run.directory)
    assert said[0].startswith("an earlier run was killed") and "cannot be cleaned up now" in said[1]


def test_a_lock_that_was_swept_away_is_no_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between a new directory and its lock somebody sweeps."""
    runs, mkdir, taken = tmp_path / "runs", os.mkdir, 0

    def swept(path: str, mode: int) -> None:
        nonlocal taken
        mkdir(path, mode)
        taken += 1
        if taken == 1:
            asyncio.run(sweep(str(tmp_path), lambda text: None))

    runs.mkdir()
    monkeypatch.setattr(os, "mkdir", swept)
    run = podruns._claim(str(runs))
    assert taken == 2 and [p.name for p in runs.iterdir()] == [run.name]
    run.close()


def test_a_broken_note_is_none(tmp_path: Path) -> None:
    run = podruns._claim(str(tmp_path / "runs"))
    Path(run.directory, "run.json").write_text("{")
    assert run.noted() == Note()
    run.close()
