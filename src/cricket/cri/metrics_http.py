"""The Prometheus endpoint: a few lines of HTTP/1.1 for `GET /metrics` and `GET /healthz`, one request a connection."""

from __future__ import annotations

import asyncio
import contextlib

from cricket.cri import listening
from cricket.errors import InvalidArgument, Unavailable, map_errors
from cricket.kernel.accepting import stop_accepting
from cricket.types.metrics import REGISTRY, Registry

TEXT_FORMAT = "text/plain; version=0.0.4; charset=utf-8"
HEAD_LIMIT = 8 << 10
PATIENCE = 5.0
"""Seconds for a client to say what it wants and to read the answer."""


class MetricsServer:
    """Serves a registry on `address`: "127.0.0.1:9464", "[::1]:9464" or "unix:/path" (mode 0660)."""

    def __init__(self, address: str, registry: Registry = REGISTRY) -> None:
        self._unix = address.removeprefix("unix:") if address.startswith("unix:") else ""
        self._host, self._port = ("", 0) if self._unix else _host_port(address)
        self._registry = registry
        self._server: asyncio.Server | None = None

    @property
    def port(self) -> int:
        """The port that it listens on, 0 for a unix socket."""
        return 0 if self._unix or self._server is None else int(self._server.sockets[0].getsockname()[1])

    async def start(self) -> None:
        """Listen. Raises Unavailable (a unix socket: Internal) when the address cannot be had, AlreadyExists when the
        socket is served."""
        where = self._unix or f"{self._host}:{self._port}"
        if self._unix:
            listening.prepare(self._unix)
        with map_errors(OSError, Unavailable, "cannot listen for metrics", where=where):
            if self._unix:
                bound = listening.listen(self._unix, 0o660, None)
                self._server = await asyncio.start_unix_server(self._serve, sock=bound, limit=HEAD_LIMIT)
            else:
                self._server = await asyncio.start_server(self._serve, self._host, self._port, limit=HEAD_LIMIT)

    async def stop(self) -> None:
        """Close the listener. Idempotent."""
        server, self._server = self._server, None
        if server is not None:
            await stop_accepting(server)
            await server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # A client that is slow, gone or talks nonsense gets no answer; that is its own business.
        with contextlib.suppress(OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            async with asyncio.timeout(PATIENCE):
                head = await reader.readuntil(b"\r\n\r\n")
                writer.write(self._answer(head.split(b"\r\n", 1)[0]))
                await writer.drain()
        writer.close()

    def _answer(self, line: bytes) -> bytes:
        method, _, rest = line.partition(b" ")
        path = rest.partition(b" ")[0].partition(b"?")[0]
        if method not in (b"GET", b"HEAD"):
            return _response("405 Method Not Allowed", b"only GET\n")
        if path == b"/metrics":
            body, kind = self._registry.render().encode(), TEXT_FORMAT
        elif path == b"/healthz":
            body, kind = b"ok\n", "text/plain"
        else:
            return _response("404 Not Found", b"/metrics is here\n")
        return _response("200 OK", body, kind, with_body=method == b"GET")


def _response(status: str, body: bytes, kind: str = "text/plain", *, with_body: bool = True) -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    return head.encode() + (body if with_body else b"")


def _host_port(address: str) -> tuple[str, int]:
    host, colon, port = address.rpartition(":")
    if not colon or not host or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise InvalidArgument("an address is HOST:PORT or unix:/path", where=address)
    return host.strip("[]"), int(port)
