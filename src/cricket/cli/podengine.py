"""The engine for `cricket run`: the daemon that answers, else one of our own for as long as it is needed."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import shutil
import signal
import sys
from collections.abc import AsyncIterator, Callable

from cricket.cli.podruns import Note, Run
from cricket.client.endpoint import probe, socket_path
from cricket.client.errors import UnreachableError
from cricket.errors import FailedPrecondition
from cricket.kubelet.volumes import mounting

_MAIN = "import sys; from cricket.cli.main import main; sys.exit(main())"
_START = 30.0
_STOP = 20.0


@contextlib.asynccontextmanager
async def engine(endpoint: str, explicit: bool, root: str, run: Run, say: Callable[[str], None]) -> AsyncIterator[str]:
    """The endpoint to use. When nobody answers there and nobody asked for just this one, a daemon is started on a
    socket of its own; its images are kept in `root` for the next time. What is done about it is told to `say`, and
    noted in `run` before it is done. Raises UnreachableError, FailedPrecondition."""
    try:
        probe(socket_path(endpoint))
    except UnreachableError:
        if explicit:
            raise
    else:
        run.note(Note(endpoint=endpoint))
        yield endpoint
        return
    if os.geteuid() != 0:
        raise FailedPrecondition("pods need root", todo="run it as root, or name a daemon with -r")
    say("no daemon is running: starting an engine for these pods alone")
    run.note(Note(state=run.state))
    async with started(run.state, root, say) as endpoint:
        run.note(Note(state=run.state, endpoint=endpoint))
        yield endpoint


@contextlib.asynccontextmanager
async def started(state: str, root: str, say: Callable[[str], None]) -> AsyncIterator[str]:
    """An engine as long as the block: its endpoint. Raises FailedPrecondition."""
    base, socket = root or "/var/lib/cricket", f"{state}/cricket.sock"
    log = await asyncio.to_thread(_open_log, base)
    try:
        network = await _network(base, say)
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", _MAIN, "serve", "--log-level", "warning"),
            *("--root", os.path.join(base, "engine") if root else base, "--state", state, "--socket", socket),
            *network,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,  # Ctrl-C is for us: the engine is needed to stop the pod
        )
    finally:
        os.close(log)
    try:
        await _ready(process, socket, base)
        yield f"unix://{socket}"
    finally:
        await _end(process)
        await asyncio.to_thread(remove_state, state)


async def _network(base: str, say: Callable[[str], None]) -> list[str]:
    """What the engine is to be told of networks: the machine's own ones are taken as they are."""
    from cricket.cli.configuration import PATH, load
    from cricket.cli.podnetwork import BRIDGE, configured, provide

    directories = load(argparse.Namespace(config=PATH)).config.network.conf_dirs
    if await asyncio.to_thread(configured, directories):
        return []
    own = os.path.join(base, "cni")
    say(f"no network is configured in {', '.join(directories)}: making one, on the bridge {BRIDGE}")
    await provide(own)
    return ["--conf-dir", own]


def _open_log(base: str) -> int:
    os.makedirs(base, 0o711, exist_ok=True)
    return os.open(os.path.join(base, "run.log"), os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)


async def _ready(process: asyncio.subprocess.Process, socket: str, base: str) -> None:
    loop = asyncio.get_running_loop()
    until = loop.time() + _START
    while True:
        try:
            probe(socket)
            return
        except UnreachableError:
            if process.returncode is not None or loop.time() > until:
                todo = "see its log, or start one with `cricket serve`"
                raise FailedPrecondition("the engine does not start", where=f"{base}/run.log", todo=todo) from None
        await asyncio.sleep(0.05)


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(_STOP):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()


def remove_state(state: str) -> None:
    """Take a state directory away, unless something is mounted there. Idempotent."""
    if not mounting.mount_points(state):
        shutil.rmtree(state, ignore_errors=True)
