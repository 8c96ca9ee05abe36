"""Ports of `cricket run -p`: local listeners that lead into the pod, whichever sandbox it has just now."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import socket
from collections.abc import Callable

from cricket.cli.forwarding import Session, serve_connection
from cricket.errors import FailedPrecondition, Unavailable, map_errors
from cricket.kubelet.agent import Agent


def check_free(publish: list[tuple[int, int]]) -> None:
    """Find out about a taken port before anything is made. Raises FailedPrecondition."""
    for local, _ in publish:
        with map_errors(OSError, FailedPrecondition, "cannot listen", where=f"127.0.0.1:{local}"):
            socket.create_server(("127.0.0.1", local)).close()


async def forward(agent: Agent, args: argparse.Namespace, say: Callable[[str], None]) -> None:
    """Listen on 127.0.0.1 and forward until cancelled. Raises FailedPrecondition when a port is taken."""
    loop, remote = asyncio.get_running_loop(), [port for _, port in args.publish]

    async def ask() -> str:
        boxes = [box for worker in agent.workers.values() for box in worker.records.sandboxes if box.ready]
        if not boxes:
            raise Unavailable("the pod has no network just now")
        return str((await agent.cri.call("PortForward", pod_sandbox_id=boxes[0].id, port=remote)).url)

    def url() -> str:  # asked from a thread
        return asyncio.run_coroutine_threadsafe(ask(), loop).result()

    session, busy = Session(url, args), set[asyncio.Task[None]]()
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(session.close)
        for local, port in args.publish:

            def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int = port) -> None:
                task = asyncio.ensure_future(serve_connection(session, port, reader, writer))
                busy.add(task)
                task.add_done_callback(busy.discard)

            with map_errors(OSError, FailedPrecondition, "cannot listen", where=f"127.0.0.1:{local}"):
                server = await asyncio.start_server(accepted, "127.0.0.1", local)
            stack.callback(server.close)
            say(f"Forwarding from 127.0.0.1:{server.sockets[0].getsockname()[1]} -> {port}")
        try:
            await asyncio.Event().wait()
        finally:
            for task in busy:
                task.cancel()
            await asyncio.gather(*busy, return_exceptions=True)
