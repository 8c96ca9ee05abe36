"""Ending what a run of `cricket run` left that was killed: its pods, its engine, its files, mounts and cgroups."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import struct
from collections.abc import AsyncIterator, Callable

from cricket.cli.podengine import remove_state, started
from cricket.cli.podruns import Run, died
from cricket.client.endpoint import probe, socket_path
from cricket.client.errors import UnreachableError
from cricket.errors import CricketError, FailedPrecondition
from cricket.kubelet.agent_session import Options, session
from cricket.kubelet.gc_orphans import OrphanCollector
from cricket.kubelet.source import Offer
from cricket.kubelet.worker_parts import Settings

_LIMIT = 60.0
_STOP = 20.0


def node_of(run: Run) -> dict[str, str]:
    """Where the agent of a run has its things: all of it under the run's name."""
    root = run.directory
    return {"root": root, "log_root": f"{root}/logs", "cgroup_root": f"/cricketpods-{run.name}"}


async def sweep(root: str, say: Callable[[str], None]) -> None:
    """Clean up after the runs whose processes are gone. What cannot be done now is told, and left to the next run."""
    for run in died(root):
        try:
            if run.noted().state or run.noted().endpoint:
                say(f"an earlier run was killed: removing what it left ({run.name})")
            async with asyncio.timeout(_LIMIT):
                await _clean(run, root)
        except (CricketError, TimeoutError, OSError) as error:
            say(f"{run.name} cannot be cleaned up now: {error or 'it takes too long'}")
        finally:
            run.close()


async def _clean(run: Run, root: str) -> None:
    note = run.noted()
    async with contextlib.AsyncExitStack() as stack:
        endpoint = note.endpoint
        if note.state:
            endpoint = await stack.enter_async_context(_engine(note.state, root, bool(endpoint)))
        if note.endpoint:
            await _end_pods(run, endpoint)
    await run.remove()


@contextlib.asynccontextmanager
async def _engine(state: str, root: str, needed: bool) -> AsyncIterator[str]:
    """The engine that the run had, which may still be alive, for a last time; it ends with the block."""
    path = f"{state}/cricket.sock"
    try:
        probe(path)
    except UnreachableError:
        if needed:
            async with started(state, root, lambda text: None) as endpoint:
                yield endpoint
        else:
            yield ""
    else:
        try:
            yield f"unix://{path}"
        finally:
            await _end_listener(path, state)
    await asyncio.to_thread(remove_state, state)


async def _end_pods(run: Run, endpoint: str) -> None:
    """Take the pods over as an agent of the same name that wants none of them."""
    heard = asyncio.Event()

    async def nothing(offer: Offer) -> None:
        offer(run.name, ())

    options = Options(endpoint=endpoint, settings=Settings(name=run.name, relist=0.3), node=node_of(run))
    async with session(options, {run.name: nothing}) as agent:
        agent.changed = lambda: heard.set() if agent.synced else None
        if not agent.synced:
            await heard.wait()
        await agent.end_all(0.0)
        parts = agent.parts
        await OrphanCollector(parts, lambda: set(agent.workers), lambda: None).collect()
        if parts.cgroups is not None:
            await parts.cgroups.remove_uid(run.name)  # none of them: what is above goes when nothing is in it


async def _end_listener(path: str, state: str) -> None:
    """End the process that listens on a socket, when it is an engine with this state directory."""
    pid = _listener(path)
    if pid <= 0 or not _is_engine(pid, state):
        raise FailedPrecondition("somebody else listens there", where=path)
    watch = os.pidfd_open(pid)
    try:
        if _listener(path) != pid:  # it was another's number meanwhile
            return
        loop, ended = asyncio.get_running_loop(), asyncio.Event()
        loop.add_reader(watch, ended.set)
        try:
            for number in (signal.SIGTERM, signal.SIGKILL):
                with contextlib.suppress(ProcessLookupError):
                    signal.pidfd_send_signal(watch, number)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_STOP):
                        await ended.wait()
                    return
        finally:
            loop.remove_reader(watch)
    finally:
        os.close(watch)


def _listener(path: str) -> int:
    """The process that began to listen on a unix socket, 0 when none does."""
    with socket.socket(socket.AF_UNIX) as sock:
        try:
            sock.settimeout(1.0)
            sock.connect(socket_path(path))
        except OSError:
            return 0
        found: tuple[int, int, int] = struct.unpack("3i", sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
        return found[0]


def _is_engine(pid: int, state: str) -> bool:
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            words = file.read().split(b"\0")
    except OSError:
        return False
    return b"serve" in words and os.fsencode(state) in words
