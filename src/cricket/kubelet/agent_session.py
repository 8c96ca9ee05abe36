"""An agent from the outside: made of options, with its lock and its API, run until a signal."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import signal
from collections.abc import AsyncIterator, Iterable
from typing import Any

import msgspec

from cricket.errors import FailedPrecondition, map_errors
from cricket.kubelet.agent import Agent
from cricket.kubelet.agent_node import this_node
from cricket.kubelet.api import Api
from cricket.kubelet.loop_cri import Cri
from cricket.kubelet.source import Source, source
from cricket.kubelet.worker_parts import Settings

SOCKET = "/run/cricket-kubelet/agent.sock"


class Options(msgspec.Struct, frozen=True):
    """What an agent is made of. `node` are fields of Node to be set; `socket` "" and `port` None mean no API there."""

    endpoint: str
    manifests: tuple[str, ...] = ()
    settings: Settings = Settings()
    node: dict[str, Any] = {}
    socket: str = ""
    port: int | None = None


@contextlib.asynccontextmanager
async def session(options: Options, sources: dict[str, Source] | None = None) -> AsyncIterator[Agent]:
    """An agent that works while the block does; `sources` replace those of the options. Leaving it leaves the pods.
    Raises UnreachableError, FailedPrecondition (another agent has this root)."""
    async with contextlib.AsyncExitStack() as stack:
        cri = await stack.enter_async_context(Cri(options.endpoint))
        node = await this_node(cri, **options.node)
        stack.callback(os.close, _lock(node.root))
        made = sources if sources is not None else _sources(options.manifests, node.name)
        agent = Agent(cri, node, options.settings, made)
        api = Api(agent)
        stack.push_async_callback(api.close)
        if options.socket:
            await api.listen_unix(options.socket)
        if options.port is not None:
            await api.listen_loopback(options.port)
        work = asyncio.create_task(agent.run())
        stack.push_async_callback(_cancelled, work)
        agent.work = work
        yield agent


async def serve(options: Options) -> int:
    """Work until SIGTERM or SIGINT; the pods go on. Returns the exit status."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with session(options) as agent:
        waiting = asyncio.create_task(stop.wait())
        await asyncio.wait({waiting, agent.work}, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if agent.work.done():
            await agent.work
    return 0


def _sources(names: Iterable[str], node: str) -> dict[str, Source]:
    return {name: source(name, node) for name in names}


def _lock(root: str) -> int:
    """One agent for each root: two would fight over the same pods."""
    path = os.path.join(root, "agent.lock")
    with map_errors(OSError, FailedPrecondition, "the agent's directory cannot be used", where=root):
        os.makedirs(root, 0o711, exist_ok=True)
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(fd)
        raise FailedPrecondition(
            "another agent works there", where=root, todo="give this one another --root"
        ) from error
    return fd


async def _cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait({task})
