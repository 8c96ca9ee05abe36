"""Closing a listening server of asyncio's without losing what it has just accepted."""

from __future__ import annotations

import asyncio

_TURNS = 4
"""Turns of the loop between `accept` and a protocol that is told of its transport, and one more."""


async def stop_accepting(server: asyncio.Server) -> None:
    """Close a server when every socket that it has accepted has a transport. What is not accepted yet is refused.

    Python 3.11 forgets a socket, and leaves it open, when the server is closed between `accept` and the transport.
    """
    loop = asyncio.get_running_loop()
    for listening in server.sockets:
        loop.remove_reader(listening.fileno())
    for _ in range(_TURNS):
        await asyncio.sleep(0)
    server.close()
