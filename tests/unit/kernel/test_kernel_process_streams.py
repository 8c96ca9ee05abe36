"""Processes: descriptors, output, time and signals."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest

from cricket.errors import DeadlineExceeded
from cricket.kernel import process


def open_files() -> set[str]:
    return {
        os.readlink(f"/proc/self/fd/{n}") for n in os.listdir("/proc/self/fd") if os.path.exists(f"/proc/self/fd/{n}")
    }


async def shell(script: str, **options: object) -> process.Result:
    return await process.run(["sh", "-c", script], **options)  # type: ignore[arg-type]  # tests


async def test_exit_codes_and_signals() -> None:
    assert (await shell("exit 7")).code == 7
    assert (await shell("kill -9 $$")).code == 137


async def test_output_over_the_limit_is_read_and_dropped() -> None:
    result = await shell("head -c 300000 /dev/zero; echo end >&2", limit=1000)
    assert (len(result.stdout), result.stderr, result.code) == (1000, b"end\n", 0)


async def test_the_last_words_are_the_error_text() -> None:
    assert (await shell("echo out; echo err >&2")).error_text == "err"
    assert (await shell("echo out")).error_text == "out"
    assert len((await shell("yes | head -c 10000 >&2")).error_text) <= 2000


async def test_a_grandchild_that_holds_the_pipes_is_not_waited_for(tmp_path: Path) -> None:
    # The grandchild reads a FIFO that the test holds, so that it ends with the test and not before.
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    writer = os.open(fifo, os.O_RDWR)
    try:
        result = await asyncio.wait_for(shell(f"(read x <{fifo}) & echo done", drain=0.05), 5)
        assert result.stdout == b"done\n"
    finally:
        os.write(writer, b"\n")
        os.close(writer)


async def test_cancelling_kills_the_process(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    running = asyncio.ensure_future(shell(f"exec sleep 1000 >{fifo}"))
    loop = asyncio.get_running_loop()
    reader = await loop.run_in_executor(None, os.open, fifo, os.O_RDONLY)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert await loop.run_in_executor(None, os.read, reader, 1) == b""  # its only writer is gone
    os.close(reader)


async def test_a_process_that_ignores_its_input_is_no_error() -> None:
    assert (await shell("exit 0", stdin=b"x" * 1_000_000)).code == 0


async def test_nothing_is_open_afterwards() -> None:
    await shell("true")
    before = open_files()
    for options in ({}, {"stdin": b"x"}, {"limit": 1}):
        await shell("cat; echo out; echo err >&2", **options)
    with pytest.raises(DeadlineExceeded):
        await shell("exec sleep 1000", timeout=0.01, stdin=b"x" * 1_000_000)
    assert open_files() <= before


async def test_descriptors_are_mapped_even_when_they_cross(tmp_path: Path) -> None:
    files = [os.open(tmp_path / name, os.O_RDWR | os.O_CREAT) for name in ("a", "b")]
    low, high = 100, 101
    os.dup2(files[0], low, inheritable=False)
    os.dup2(files[1], high, inheritable=False)
    try:
        # The child's 101 is our 100 and the other way round.
        script = "echo one >>/proc/self/fd/101; echo two >>/proc/self/fd/100"
        assert await process.spawn(["sh", "-c", script], fds={high: low, low: high}).wait() == 0
        assert [(tmp_path / name).read_text() for name in ("a", "b")] == ["one\n", "two\n"]
    finally:
        for fd in (*files, low, high):
            os.close(fd)


async def test_streams_default_to_null() -> None:
    child = process.spawn(["sh", "-c", "for n in 0 1 2; do [ /proc/self/fd/$n -ef /dev/null ] || exit 1; done"])
    assert await child.wait() == 0


async def test_signals_are_as_at_birth() -> None:
    """Python ignores SIGPIPE; children must not inherit that, nor a blocked signal."""
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR2])
    try:
        result = await shell("grep -E 'SigBlk|SigIgn' /proc/self/status")
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGUSR2])
    blocked, ignored = (int(line.split()[1], 16) for line in result.stdout.splitlines())
    assert blocked == 0
    assert not ignored & (1 << signal.SIGPIPE - 1)


async def test_a_session_of_its_own() -> None:
    child = process.spawn(["sh", "-c", '[ "$(ps -o sid= -p $$ | tr -d " ")" = $$ ]'], setsid=True)
    assert await child.wait() == 0


async def test_many_may_wait_and_one_may_give_up() -> None:
    child = process.spawn(["sleep", "1000"])
    waiters = [asyncio.ensure_future(child.wait()) for _ in range(3)]
    await asyncio.sleep(0)
    waiters[0].cancel()
    child.kill()
    assert await asyncio.gather(*waiters[1:]) == [137, 137]
    child.kill()  # of a process that has gone, nothing
    assert not child.running
