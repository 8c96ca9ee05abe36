"""A port-forward session: pairs of a data and an error channel, each pair for one connection into the sandbox."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Coroutine

from cricket.errors import CricketError
from cricket.streaming.backend import Backend
from cricket.streaming.link import CHUNK, Channel, Link
from cricket.types.streams import PortForwardRequest

_HALF_OPEN = 60.0


class PortForwarding:
    """One client connection, which may carry many forwarded connections."""

    def __init__(self, link: Link, backend: Backend, request: PortForwardRequest, *, creation_timeout: float) -> None:
        self._link, self._backend, self._request = link, backend, request
        self._creation_timeout = creation_timeout
        self._halves: dict[str, Channel] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def serve_channels(self) -> None:
        """WebSocket with numbered channels: for each port of the request data and error; both begin with the port.

        Ends when all connections ended.
        """
        channels = self._link.fixed(2 * len(self._request.ports))
        for data, error, port in zip(channels[::2], channels[1::2], self._request.ports, strict=True):
            error.discard()
            for channel in (data, error):
                await channel.write(port.to_bytes(2, "little"))
            self._start(self._forward(data, error, port, half_open=0.0))
        await self._wait_all()

    async def serve_streams(self) -> None:
        """SPDY: the client opens pairs of streams as it needs them, until it goes."""
        try:
            while True:
                channel = await self._link.opened()
                port = _port(channel.headers.get("port", ""))
                kind = channel.headers.get("streamtype", "")
                if port is None or kind not in ("data", "error"):
                    await channel.reset()
                    continue
                channel.accept()
                if kind == "error":
                    channel.discard()
                await self._pair(channel, kind, port)
        finally:
            for task in self._tasks:
                task.cancel()
            await self._wait_all()

    async def _pair(self, channel: Channel, kind: str, port: int) -> None:
        """Join the two halves of a request. Old clients send no request id; there error comes two ids before data."""
        key = channel.headers.get("requestid") or f"#{channel.number - (2 if kind == 'data' else 0)}"
        other = self._halves.get(key)
        if other is None:
            self._halves[key] = channel
            self._start(self._expire(key, channel))
            return
        if other.headers["streamtype"] == kind:
            await _complain(other if kind == "error" else None, f"{kind} stream of request {key} already assigned")
            await channel.reset()
            return
        del self._halves[key]
        data, error = (channel, other) if kind == "data" else (other, channel)
        self._start(self._forward(data, error, port))

    async def _expire(self, key: str, channel: Channel) -> None:
        """Give up a half whose other half does not come."""
        await asyncio.sleep(self._creation_timeout)
        if self._halves.get(key) is channel:
            del self._halves[key]
            if channel.headers["streamtype"] == "error":
                await _complain(channel, f"request {key} timed out waiting for streams")
            await channel.reset()

    def _start(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _wait_all(self) -> None:
        while self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _forward(self, data: Channel, error: Channel, port: int, *, half_open: float = _HALF_OPEN) -> None:
        """One forwarded connection from connect to close.

        `half_open`: seconds that the client may go on sending after the sandbox has sent everything; 0 where the
        client learns of that only from the end of the whole connection.
        """
        try:
            if self._request.ports and port not in self._request.ports:
                await self._fail(data, error, port, "the port is not part of the request")
                return
            try:
                sock = await self._backend.connect(self._request.sandbox_id, port)
            except CricketError as e:
                await self._fail(data, error, port, str(e))
                return
            with contextlib.closing(sock):
                broken = await _splice(sock, data, error, half_open)
            if broken is not None:
                await self._fail(data, error, port, broken)
        except ConnectionError:
            return  # the client is gone; the link ends everything

    async def _fail(self, data: Channel, error: Channel, port: int, text: str) -> None:
        await _complain(error, f"error forwarding port {port} to pod {self._request.sandbox_id}: {text}")
        await data.reset()


async def _complain(error: Channel | None, text: str) -> None:
    if error:
        await error.write(text.encode())
        await error.end()


async def _splice(sock: socket.socket, data: Channel, error: Channel, half_open: float) -> str | None:
    """Copy both ways with half-close until both directions ended; returns what broke, if something did.

    When the sandbox has sent everything the error channel is ended too: clients wait for that end and then leave.
    """
    upload = asyncio.ensure_future(_upload(data, sock))
    try:
        broken = await _download(sock, data)
        if broken is not None:
            return broken
        await data.end()
        await error.end()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(half_open):
                await asyncio.shield(upload)
        await data.reset()
        return None
    finally:
        upload.cancel()
        await asyncio.gather(upload, return_exceptions=True)


async def _download(sock: socket.socket, data: Channel) -> str | None:
    """Sandbox to client. A client that reset the channel is served no further, which is no error."""
    loop = asyncio.get_running_loop()
    while not data.was_reset:
        try:
            chunk = await loop.sock_recv(sock, CHUNK)
        except OSError as e:
            return str(e.strerror or e).lower()
        if not chunk:
            return None
        await data.write(chunk)
    return None


async def _upload(data: Channel, sock: socket.socket) -> None:
    """Client to sandbox. An error here shows in the other direction too, or does not matter."""
    loop = asyncio.get_running_loop()
    with contextlib.suppress(OSError):
        while chunk := await data.read():
            await loop.sock_sendall(sock, chunk)
        sock.shutdown(socket.SHUT_RDWR if data.was_reset else socket.SHUT_WR)
    data.discard()


def _port(text: str) -> int | None:
    if not (text.isascii() and text.isdigit()) or len(text) > 5:
        return None
    return int(text) if 0 < int(text) < 1 << 16 else None
