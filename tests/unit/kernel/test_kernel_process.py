"""Starting processes when the daemon has run out of something."""

from __future__ import annotations

import errno
import os

import pytest

from cricket.errors import DeadlineExceeded, Internal, ResourceExhausted
from cricket.kernel import process


def _children() -> str:
    with open(f"/proc/self/task/{os.getpid()}/children") as f:
        return f.read()


async def test_a_child_that_cannot_be_watched_is_killed_and_reaped(monkeypatch: pytest.MonkeyPatch) -> None:
    before = _children()

    def refuse(pid: int) -> int:
        raise OSError(errno.EMFILE, "too many open files")

    monkeypatch.setattr(os, "pidfd_open", refuse)
    with pytest.raises(ResourceExhausted):
        process.spawn(["sleep", "1000"])
    assert _children() == before


async def test_pipes_that_cannot_be_made_leave_none(monkeypatch: pytest.MonkeyPatch) -> None:
    before, real, left = len(os.listdir("/proc/self/fd")), os.pipe2, [1]

    def pipe2(flags: int) -> tuple[int, int]:
        if not left:
            raise OSError(errno.EMFILE, "too many open files")
        left.pop()
        return real(flags)

    monkeypatch.setattr(os, "pipe2", pipe2)
    with pytest.raises(ResourceExhausted):
        await process.run(["true"])
    assert len(os.listdir("/proc/self/fd")) == before


async def test_a_missing_program_is_told_as_such() -> None:
    with pytest.raises(Internal, match="installed"):
        await process.run(["/nosuch/program"])


@pytest.mark.parametrize("stdin", [None, b"", b"x" * 200_000])
async def test_input_and_output_go_through(stdin: bytes | None) -> None:
    result = await process.run(["sh", "-c", "cat; echo end >&2; exit 3"], stdin=stdin)
    assert (result.code, result.stdout, result.stderr) == (3, stdin or b"", b"end\n")


async def test_a_timeout_kills() -> None:
    before = _children()
    with pytest.raises(DeadlineExceeded):
        await process.run(["sleep", "1000"], timeout=0.05)
    assert _children() == before
