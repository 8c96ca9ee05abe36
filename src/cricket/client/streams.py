"""A small client of streaming URLs: exec, attach and port-forward over SPDY/3.1 or WebSocket.

It knows nothing of the server; any CRI runtime's URLs will do.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
import socket
import ssl
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from types import TracebackType
from typing import Literal
from urllib.parse import urlsplit

from cricket.errors import CricketError, Internal, InvalidArgument, Unavailable, Unimplemented, map_errors
from cricket.wire import remotecommand as rc
from cricket.wire.channel_mux import ChannelMux
from cricket.wire.http1 import MAX_HEAD, Fields, Response, format_request, parse_response
from cricket.wire.mux import Accepted, Ended, Gone, Mux, Received, WasReset, Writable
from cricket.wire.remotecommand import Dialect
from cricket.wire.spdy_session import SpdySession
from cricket.wire.tunnel_mux import TunnelMux
from cricket.wire.websocket import accept_key

Transport = Literal["spdy", "websocket"]
Sink = Callable[[bytes], Awaitable[None]]
_CHUNK = 64 << 10
_BUFFERED = 1 << 20
_GOODBYE = 2.0
_SILENCE, _PROBES = 30, 4
"""Seconds after which a peer that says nothing is asked whether it is there, and how often until it is given up."""


class ClientChannel:
    """A byte stream in each direction."""

    def __init__(self, connection: Connection, number: int) -> None:
        self.number = number
        self.ended = self.was_reset = self.was_accepted = False
        self.chunks: deque[bytes] = deque()
        self.accepted, self.readable, self.writable = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._connection = connection

    async def read(self) -> bytes:
        """The next bytes, b"" at the end."""
        while not self.chunks and not self.ended:
            self.readable.clear()
            await self.readable.wait()
        if not self.chunks:
            return b""
        data = self.chunks.popleft()
        self._connection.consumed(self.number, len(data))
        return data

    async def read_all(self) -> bytes:
        """Everything to the end."""
        parts = []
        while data := await self.read():
            parts.append(data)
        return b"".join(parts)

    async def write(self, data: bytes) -> None:
        """Send, waiting while the server does not take it; dropped when the channel is gone."""
        rest = memoryview(data)
        while rest and not self.was_reset:
            room = self._connection.mux.sendable(self.number)
            if room <= 0:
                self.writable.clear()
                await self.writable.wait()
                continue
            piece, rest = rest[: min(room, _CHUNK)], rest[min(room, _CHUNK) :]
            self._connection.mux.send(self.number, piece)
            await self._connection.flush()

    async def end(self) -> None:
        """Half-close."""
        self._connection.mux.end(self.number)
        await self._connection.flush()

    async def reset(self) -> None:
        """Give it up in both directions."""
        self._connection.mux.reset(self.number)
        self.gone()
        await self._connection.flush()

    def gone(self) -> None:
        """No more in either direction; wake everybody."""
        self.ended = self.was_reset = True
        for event in (self.accepted, self.readable, self.writable):
            event.set()


class Connection:
    """An upgraded connection; closes with `close`."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, mux: Mux, name: str) -> None:
        self.mux, self.name = mux, name
        self.reason = ""
        self._reader, self._writer = reader, writer
        self._channels: dict[int, ClientChannel] = {}
        self._buffered = 0
        self._drained = asyncio.Event()
        self._receiving = asyncio.ensure_future(self._receive())

    def channel(self, number: int) -> ClientChannel:
        """The numbered channel of a WebSocket."""
        return self._channels.setdefault(number, ClientChannel(self, number))

    async def open(self, headers: dict[str, str]) -> ClientChannel:
        """Open a SPDY stream and wait for the server to accept it. Unavailable when it does not."""
        session = self.mux.session if isinstance(self.mux, TunnelMux) else self.mux
        assert isinstance(session, SpdySession)
        if self._receiving.done():
            raise Unavailable("the streaming connection was lost", where=self.reason)
        channel = self.channel(session.open(headers))
        await self.flush()
        await channel.accepted.wait()
        if not channel.was_accepted:
            raise Unavailable("the server refused a stream", where=str(headers))
        return channel

    async def flush(self) -> None:
        """Send what is pending. Unavailable when the connection is gone."""
        if out := self.mux.output():
            self._writer.write(b"".join(out))
        with map_errors(OSError, Unavailable, "the streaming connection was lost", where=self.reason):
            await self._writer.drain()

    def consumed(self, number: int, size: int) -> None:
        """Bytes left a channel's buffer."""
        self._buffered -= size
        self._drained.set()
        self.mux.consumed(number, size)
        if out := self.mux.output():
            self._writer.write(b"".join(out))

    async def close(self) -> None:
        """Say goodbye and close, without waiting long for a peer that takes nothing. Idempotent."""
        self.mux.close()
        self._receiving.cancel()
        try:
            async with asyncio.timeout(_GOODBYE):
                with contextlib.suppress(CricketError):
                    await self.flush()
                await asyncio.gather(self._receiving, return_exceptions=True)
                self._writer.close()
                with contextlib.suppress(OSError):
                    await self._writer.wait_closed()
        except TimeoutError:
            self._writer.transport.abort()

    async def _receive(self) -> None:
        try:
            with contextlib.suppress(OSError):
                while data := await self._reader.read(_CHUNK):
                    alive = self._dispatch(data)
                    if out := self.mux.output():
                        self._writer.write(b"".join(out))
                    if not alive:
                        break
                    while self._buffered > _BUFFERED:
                        self._drained.clear()
                        await self._drained.wait()
        finally:
            for channel in self._channels.values():
                channel.gone()

    def _dispatch(self, data: bytes) -> bool:
        for event in self.mux.receive(data):
            if isinstance(event, Gone):
                self.reason = event.reason
                return False
            if isinstance(event, Writable) and event.channel == 0:
                for channel in self._channels.values():
                    channel.writable.set()
            elif (found := self._channels.get(event.channel)) is None:
                if isinstance(event, Received):
                    self.mux.consumed(event.channel, len(event.data))
            elif isinstance(event, Received):
                self._buffered += len(event.data)
                found.chunks.append(event.data)
                found.readable.set()
            elif isinstance(event, Ended):
                found.ended = True
                found.readable.set()
            elif isinstance(event, WasReset):
                found.gone()
            elif isinstance(event, Writable):
                found.writable.set()
            elif isinstance(event, Accepted):
                found.was_accepted = True
                found.accepted.set()
        return True


async def upgrade(
    url: str,
    transport: Transport,
    protocols: tuple[str, ...],
    make: Callable[[str], Mux],
    *,
    tls: ssl.SSLContext | None = None,
) -> Connection:
    """Connect and upgrade; `make` gives the state machine for the protocol that the server chose.

    Unavailable when the server cannot be reached, Internal with its words when it refuses, Unimplemented when it chose
    a protocol that was not offered.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise InvalidArgument("a streaming URL is absolute and begins with http:// or https://", where=url)
    secure = (tls or ssl.create_default_context()) if parts.scheme == "https" else None
    port = parts.port or (443 if secure else 80)
    with map_errors(OSError, Unavailable, "the streaming server cannot be reached", where=parts.netloc):
        reader, writer = await asyncio.open_connection(parts.hostname, port, ssl=secure, limit=MAX_HEAD)
    _keep_asking(writer.get_extra_info("socket"))
    try:
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        key = base64.b64encode(os.urandom(16)).decode()
        method, fields = _request(transport, protocols, key)
        writer.write(format_request(method, target, (("Host", parts.netloc), *fields)))
        with map_errors((OSError, EOFError, asyncio.LimitOverrunError), Unavailable, "no answer", where=parts.netloc):
            response = parse_response(await reader.readuntil(b"\r\n\r\n"))
            body = b"" if response.status == 101 else await reader.read(4096)
        name = _chosen(response, body, transport, protocols, key)
        return Connection(reader, writer, make(name), name)
    except BaseException:
        writer.close()
        raise


def _keep_asking(sock: socket.socket) -> None:
    """Find out about a network that is gone, also while nothing is said."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, _SILENCE)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, _SILENCE // _PROBES)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, _PROBES)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 2 * _SILENCE * 1000)


def _request(transport: Transport, protocols: tuple[str, ...], key: str) -> tuple[str, Fields]:
    common: Fields = (("Connection", "Upgrade"),)
    if transport == "spdy":
        versions = tuple(("X-Stream-Protocol-Version", name) for name in protocols)
        return "POST", (*common, ("Upgrade", "SPDY/3.1"), ("Content-Length", "0"), *versions)
    offered = tuple(("Sec-WebSocket-Protocol", ", ".join(protocols)) for _ in (0,) if any(protocols))
    keys: Fields = (("Upgrade", "websocket"), ("Sec-WebSocket-Version", "13"), ("Sec-WebSocket-Key", key))
    return "GET", (*common, *keys, *offered)


def _chosen(response: Response, body: bytes, transport: Transport, protocols: tuple[str, ...], key: str) -> str:
    if response.status != 101:
        text = body.decode("utf-8", "replace").strip() or response.reason
        raise Internal(f"the streaming server refused: {response.status} {text}")
    if transport == "websocket" and response.values("sec-websocket-accept") != [accept_key(key)]:
        raise Internal("the streaming server's answer is not for this WebSocket")
    field = "x-stream-protocol-version" if transport == "spdy" else "sec-websocket-protocol"
    name = (response.values(field) or [""])[0]
    if name not in protocols:
        raise Unimplemented(f"the streaming server chose the protocol {name!r}", where=", ".join(protocols))
    return name


async def run_command(
    url: str,
    *,
    transport: Transport = "websocket",
    protocols: tuple[str, ...] = (),
    stdin: AsyncIterator[bytes] | None = None,
    stdout: Sink | None = None,
    stderr: Sink | None = None,
    tty: bool = False,
    sizes: AsyncIterator[tuple[int, int]] | None = None,
    tls: ssl.SSLContext | None = None,
    connected: Callable[[], Awaitable[object]] | None = None,
) -> int:
    """Run the exec or attach session behind `url` to its end and return the exit code.

    Give just those of `stdin`, `stdout` and `stderr` that the URL was asked for. `connected` is awaited once the
    streams are there. Internal when the command could not
    run or, before protocol version 4, when it failed.
    """
    dialects = rc.SPDY_DIALECTS if transport == "spdy" else rc.WEBSOCKET_DIALECTS
    offered = protocols or (tuple(dialects) if transport == "spdy" else ("v5.channel.k8s.io", "v4.channel.k8s.io"))

    def make(name: str) -> Mux:
        return SpdySession(server=False) if transport == "spdy" else ChannelMux(dialects[name], 5, server=False)

    connection = await upgrade(url, transport, offered, make, tls=tls)
    try:
        dialect = dialects[connection.name]
        wanted = {
            "error": True,
            "stdin": stdin is not None,
            "stdout": stdout is not None,
            "stderr": stderr is not None and not tty,
            "resize": tty and dialect.resize,
        }
        channels: dict[str, ClientChannel] = {}
        for purpose in (name for name, needed in wanted.items() if needed):
            if transport == "spdy":
                channels[purpose] = await connection.open({"streamtype": purpose})
            else:
                channels[purpose] = connection.channel(rc.TYPES[purpose])
        if connected is not None:
            await connected()
        return await _converse(connection, channels, dialect, stdin, stdout, stderr, sizes)
    finally:
        await connection.close()


async def _converse(
    connection: Connection,
    channels: dict[str, ClientChannel],
    dialect: Dialect,
    stdin: AsyncIterator[bytes] | None,
    stdout: Sink | None,
    stderr: Sink | None,
    sizes: AsyncIterator[tuple[int, int]] | None,
) -> int:
    """Copy until the outputs and the error channel have ended."""
    senders = []
    if stdin is not None:
        senders.append(asyncio.ensure_future(_send_stdin(stdin, channels["stdin"])))
    if sizes is not None and "resize" in channels:
        senders.append(asyncio.ensure_future(_send_sizes(sizes, channels["resize"])))
    error = asyncio.ensure_future(channels["error"].read_all())
    try:
        sinks = [(channels[n], sink) for n, sink in (("stdout", stdout), ("stderr", stderr)) if sink and n in channels]
        await asyncio.gather(*(_drain(channel, sink) for channel, sink in sinks))
        status = await error
        if not status and dialect.json_status:
            raise Unavailable("the streaming connection ended without an exit status", where=connection.reason)
        return rc.decode_status(status, dialect)
    finally:
        for task in (*senders, error):
            task.cancel()
        await asyncio.gather(*senders, error, return_exceptions=True)


async def _drain(channel: ClientChannel, sink: Sink) -> None:
    while data := await channel.read():
        await sink(data)


async def _send_stdin(source: AsyncIterator[bytes], channel: ClientChannel) -> None:
    async for data in source:
        await channel.write(data)
    await channel.end()


async def _send_sizes(source: AsyncIterator[tuple[int, int]], channel: ClientChannel) -> None:
    async for width, height in source:
        await channel.write(rc.encode_size(width, height))


class Forwarded:
    """One connection into the sandbox: `data` to talk, and the server's complaint in `error_text`."""

    def __init__(self, data: ClientChannel, error: ClientChannel) -> None:
        self.data, self._error = data, error

    async def error_text(self) -> str:
        """What went wrong, or ""; known when the connection is over."""
        return (await self._error.read_all()).decode("utf-8", "replace")

    async def close(self) -> None:
        """Give the connection up."""
        await self.data.reset()


class PortForward:
    """A port-forward session: `async with PortForward(url) as session: stream = await session.connect(80)`."""

    def __init__(self, url: str, *, transport: Transport = "websocket", tls: ssl.SSLContext | None = None) -> None:
        self._url, self._transport, self._tls = url, transport, tls
        self._connection: Connection | None = None
        self._requests = 0

    async def __aenter__(self) -> PortForward:
        spdy = self._transport == "spdy"
        protocols = (rc.PORT_FORWARD,) if spdy else (rc.PORT_FORWARD_TUNNEL,)

        def make(name: str) -> Mux:
            return SpdySession(server=False) if spdy else TunnelMux(server=False)

        self._connection = await upgrade(self._url, self._transport, protocols, make, tls=self._tls)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._connection is not None:
            await self._connection.close()

    async def connect(self, port: int) -> Forwarded:
        """A new connection to `port` in the sandbox."""
        assert self._connection is not None
        self._requests += 1
        headers = {"port": str(port), "requestid": str(self._requests)}
        error = await self._connection.open({**headers, "streamtype": "error"})
        await error.end()
        data = await self._connection.open({**headers, "streamtype": "data"})
        return Forwarded(data, error)
