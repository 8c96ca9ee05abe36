"""Port-forward: local listeners whose connections go through one streaming session."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import signal
from collections.abc import Callable, Sequence

from cricket.cli.errors import complain
from cricket.cli.streaming import tls_context
from cricket.client.streams import Forwarded, PortForward
from cricket.errors import CricketError, FailedPrecondition, Internal, map_errors

_CHUNK = 64 << 10


class Session:
    """The streaming session, made anew when it was lost: each URL is good for one. `url` may block shortly."""

    def __init__(self, url: Callable[[], str], args: argparse.Namespace) -> None:
        self._url, self._args, self._tls = url, args, tls_context(args)
        self._forward: PortForward | None = None
        self._opening = asyncio.Lock()

    async def connect(self, port: int) -> Forwarded:
        """A connection to `port` of the pod. Raises Unavailable or what the runtime answers."""
        async with self._opening:
            if self._forward is not None:
                try:
                    return await self._forward.connect(port)
                except CricketError:
                    await self.close()
            url = await asyncio.to_thread(self._url)
            self._forward = await PortForward(url, transport=self._args.transport, tls=self._tls).__aenter__()
            return await self._forward.connect(port)

    async def close(self) -> None:
        """End it. Idempotent."""
        forward, self._forward = self._forward, None
        if forward is not None:
            await forward.__aexit__(None, None, None)


async def forward(url: Callable[[], str], args: argparse.Namespace, addresses: Sequence[str]) -> int:
    """Listen on the ports of `args` at each address and forward until SIGINT or SIGTERM; returns the exit code."""
    stop, session, busy = asyncio.Event(), Session(url, args), set[asyncio.Task[None]]()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)

    def accept(remote: int) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], None]:
        def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.ensure_future(serve_connection(session, remote, reader, writer))
            busy.add(task)
            task.add_done_callback(busy.discard)

        return accepted

    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(session.close)
        for local, remote in args.port:
            for address in addresses:
                with map_errors(OSError, FailedPrecondition, "cannot listen", where=f"{address}:{local}"):
                    server = await asyncio.start_server(accept(remote), address, local)
                stack.callback(server.close)
                # A free port that was chosen is the same everywhere.
                host, local = server.sockets[0].getsockname()[:2]
                print(f"{f'[{host}]' if ':' in host else host}:{local} -> {args.pod}:{remote}", flush=True)
        await stop.wait()
        for task in busy:
            task.cancel()
        await asyncio.gather(*busy, return_exceptions=True)
    return 0


async def serve_connection(
    session: Session, port: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    """One local connection to its end. What goes wrong is told; the others go on."""
    try:
        remote = await session.connect(port)
        try:
            await _copy(remote, port, reader, writer)
        finally:
            await remote.close()
    except CricketError as error:
        complain(error)
    except OSError:
        pass  # the local side has gone: its own affair
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def _copy(remote: Forwarded, port: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Both directions, until each has ended or the pod's side is gone. Raises Internal with the server's complaint."""
    sending = asyncio.ensure_future(_up(reader, remote))
    complaint = asyncio.ensure_future(remote.error_text())
    try:
        await _down(remote, writer)
        # The error channel ends when the connection is over; until then the pod may go on reading.
        await asyncio.wait((sending, complaint), return_when=asyncio.FIRST_COMPLETED)
        if text := await complaint:
            raise Internal(text.strip(), where=f"port {port}")
    finally:
        for task in (sending, complaint):
            task.cancel()
        await asyncio.gather(sending, complaint, return_exceptions=True)


async def _up(reader: asyncio.StreamReader, remote: Forwarded) -> None:
    while data := await reader.read(_CHUNK):
        await remote.data.write(data)
    await remote.data.end()


async def _down(remote: Forwarded, writer: asyncio.StreamWriter) -> None:
    while data := await remote.data.read():
        writer.write(data)
        await writer.drain()
    if writer.can_write_eof():
        writer.write_eof()
