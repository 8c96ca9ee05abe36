"""The process of an exec, with commands of this machine in the runtime's place."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from cricket.kernel.proc import is_alive
from cricket.kernel.process import spawn
from cricket.lifecycle.exec_process import ExecProcess, Streams, open_terminal
from cricket.types.streams import STDERR, STDOUT

Start = Callable[..., ExecProcess]


@pytest.fixture
async def start(tmp_path: Path) -> AsyncIterator[Start]:
    """Starts `sh -c SCRIPT`, with pipes or a terminal; what still runs at the end is killed."""
    made: list[ExecProcess] = []

    def starter(script: str, *, terminal: bool = False, stdin: bool = True) -> ExecProcess:
        spec, pid_file = tmp_path / "spec", tmp_path / "pid"
        spec.touch()
        script = f"echo $$ >{pid_file}; {script}"
        if terminal:
            ours, theirs = open_terminal()
            child = spawn(["sh", "-c", script], fds={0: theirs, 1: theirs, 2: theirs}, setsid=True)
            os.close(theirs)
            streams = Streams(ours, ours, -1, terminal=True)
        else:
            pipes = [os.pipe2(os.O_CLOEXEC) for _ in range(3)]
            fds = {1: pipes[1][1], 2: pipes[2][1]} | ({0: pipes[0][0]} if stdin else {})
            child = spawn(["sh", "-c", script], fds=fds)
            for fd in (pipes[0][0], pipes[1][1], pipes[2][1], *([] if stdin else [pipes[0][1]])):
                os.close(fd)
            streams = Streams(pipes[0][1] if stdin else -1, pipes[1][0], pipes[2][0], terminal=False)
        process = ExecProcess(child, streams, str(pid_file), (str(spec), str(pid_file)))
        made.append(process)
        return process

    before = len(os.listdir("/proc/self/fd"))
    yield starter
    for process in made:
        await process.close()
        await process.close()
    # Fewer, when what an earlier test has left to the garbage collector is closed meanwhile.
    assert len(os.listdir("/proc/self/fd")) <= before
    assert os.listdir(tmp_path) == []


async def output(process: ExecProcess) -> dict[int, bytes]:
    got = {STDOUT: b"", STDERR: b""}
    while (chunk := await asyncio.wait_for(process.read(), 10)) is not None:
        got[chunk[0]] += chunk[1]
    return got


async def test_output_and_code(start: Start) -> None:
    process = start("echo out; echo err >&2; exit 5")
    assert await output(process) == {STDOUT: b"out\n", STDERR: b"err\n"}
    assert await process.wait() == 5
    assert await process.read() is None


async def test_input_goes_through_and_its_end_too(start: Start) -> None:
    process, data = start("cat"), os.urandom(1 << 20)
    reading = asyncio.ensure_future(output(process))
    await process.write(data)
    await process.close_stdin()
    await process.close_stdin()
    await process.write(b"too late")
    assert (await reading)[STDOUT] == data
    assert await process.wait() == 0


async def test_writing_to_a_command_that_does_not_read_ends_with_it(start: Start) -> None:
    process = start("exec sleep 1000")
    writing = asyncio.ensure_future(process.write(b"x" * (1 << 20)))
    await asyncio.sleep(0)
    await process.kill()
    await asyncio.wait_for(writing, 10)


async def test_without_stdin_it_reads_nothing(start: Start) -> None:
    process = start("cat; echo end", stdin=False)
    await process.write(b"ignored")
    await process.close_stdin()
    assert (await output(process))[STDOUT] == b"end\n"


async def test_a_killed_command_takes_its_children_along(start: Start, tmp_path: Path) -> None:
    process = start("sleep 1000 & sleep 1000")
    while not (tmp_path / "pid").exists() or not (pid := (tmp_path / "pid").read_text().strip()):
        await asyncio.sleep(0.001)
    children = Path(f"/proc/{pid}/task/{pid}/children")
    while len(children.read_text().split()) < 2:
        await asyncio.sleep(0.001)
    pids = children.read_text().split()
    await process.close()
    async with asyncio.timeout(5):
        while any(is_alive(int(each), 0) for each in pids):
            await asyncio.sleep(0.001)


async def test_a_grandchild_does_not_hold_the_output_for_ever(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cricket.lifecycle.exec_process._DRAIN", 0.05)
    fifo = tmp_path.parent / "exec-grandchild"
    os.mkfifo(fifo)
    writer = os.open(fifo, os.O_RDWR | os.O_CLOEXEC)
    try:
        process = start(f"(read x <{fifo}) & echo done")
        assert (await output(process))[STDOUT] == b"done\n"
    finally:
        os.write(writer, b"\n")
        os.close(writer)
        fifo.unlink()


async def test_a_terminal_echoes_nothing_by_itself_and_ends_with_ctrl_d(start: Start) -> None:
    # The container's own terminal does the cooking; here `stty` stands in for it.
    process = start("stty cooked -echo; echo ready; cat; echo bye", terminal=True)
    chunk = await process.read()
    assert chunk is not None
    assert chunk == (STDOUT, b"ready\r\n")
    await process.write(b"line\n")
    await process.close_stdin()
    rest = b""
    while (chunk := await asyncio.wait_for(process.read(), 10)) is not None:
        rest += chunk[1]
    assert rest == b"line\r\nbye\r\n"
    assert await process.wait() == 0


async def test_a_terminal_takes_sizes(start: Start) -> None:
    process = start("trap 'stty size; exit 0' WINCH; echo ready; while :; do sleep 0.01; done", terminal=True)
    assert await process.read() is not None
    await process.resize(132, 43)
    text = b""
    while (chunk := await asyncio.wait_for(process.read(), 10)) is not None:
        text += chunk[1]
    assert b"43 132" in text


async def test_sizes_of_pipes_are_ignored(start: Start) -> None:
    process = start("exit 0")
    await process.resize(80, 24)
    assert await process.wait() == 0
