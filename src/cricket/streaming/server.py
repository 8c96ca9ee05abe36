"""The streaming server: listens, hands out one-shot URLs, upgrades connections and runs their sessions."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import ipaddress
import logging
import ssl
from collections.abc import Coroutine
from urllib.parse import urlsplit

from cricket.errors import CricketError, InvalidArgument, Unavailable, map_errors
from cricket.kernel.accepting import stop_accepting
from cricket.streaming.backend import Backend
from cricket.streaming.command import serve_command
from cricket.streaming.link import Link
from cricket.streaming.negotiate import Upgrade, check_method, negotiate
from cricket.streaming.portforward import PortForwarding
from cricket.streaming.tokens import StreamRequest, Tokens
from cricket.streaming.traffic import Traffic
from cricket.types.streams import AttachRequest, ExecRequest, PortForwardRequest
from cricket.wire.http1 import MAX_HEAD, Refused, Request, format_response, parse_request

_log = logging.getLogger(__name__)
_HEAD_TIMEOUT = 10.0
_KINDS = {"exec": ExecRequest, "attach": AttachRequest, "portforward": PortForwardRequest}


class StreamServer:
    """HTTP/1.1 server of `/exec/{token}`, `/attach/{token}` and `/portforward/{token}`.

    It listens on `address` and `port` (0: any free one), with TLS when `tls_cert` and `tls_key` (PEM files) are given.
    `base_url` replaces scheme, host and path prefix in the URLs; "" makes them from the listening socket. Timeouts in
    seconds: `idle_timeout` without any traffic, `creation_timeout` for the client to open its streams.
    """

    def __init__(
        self,
        backend: Backend,
        *,
        address: str = "127.0.0.1",
        port: int = 0,
        tls_cert: str = "",
        tls_key: str = "",
        base_url: str = "",
        idle_timeout: float = 4 * 3600.0,
        creation_timeout: float = 30.0,
        tokens: Tokens | None = None,
    ) -> None:
        self._backend, self._address, self._port = backend, address, port
        self._tls_cert, self._tls_key = tls_cert, tls_key
        self._base_url = base_url.rstrip("/")
        self._prefix = urlsplit(self._base_url).path
        self._idle_timeout, self._creation_timeout = idle_timeout, creation_timeout
        self._tokens = tokens if tokens is not None else Tokens()
        self._server: asyncio.Server | None = None
        self._sessions: set[asyncio.Task[None]] = set()
        self.traffic = Traffic()

    def reconfigure(self, *, idle_timeout: float, creation_timeout: float) -> None:
        """Take other timeouts, for sessions that begin from now on."""
        self._idle_timeout, self._creation_timeout = idle_timeout, creation_timeout

    async def start(self) -> None:
        """Listen. InvalidArgument for certificates that cannot be used, Unavailable when the address cannot be had."""
        context = self._tls()
        where = f"{self._address}:{self._port}"
        with map_errors(OSError, Unavailable, "the streaming server cannot listen", where=where):
            self._server = await asyncio.start_server(
                self._connected, self._address, self._port, ssl=context, limit=MAX_HEAD
            )
        if not self._base_url:
            host, port = self._server.sockets[0].getsockname()[:2]
            self._base_url = f"{'https' if context else 'http'}://{_url_host(host)}:{port}"

    async def stop(self) -> None:
        """Stop listening and end all sessions (exec'd processes are let go). Idempotent."""
        if self._server is not None:
            await stop_accepting(self._server)
        for task in self._sessions:
            task.cancel()
        await asyncio.gather(*self._sessions, return_exceptions=True)
        if self._server is not None:
            await self._server.wait_closed()
            self._server = None

    def exec_url(self, request: ExecRequest) -> str:
        """See `Streams` in cri/engine.py. InvalidArgument for impossible choices, ResourceExhausted when full."""
        if not request.cmd:
            raise InvalidArgument("an exec request has no command", where=request.container_id)
        return self._command_url("exec", request)

    def attach_url(self, request: AttachRequest) -> str:
        """See `exec_url`."""
        return self._command_url("attach", request)

    def port_forward_url(self, request: PortForwardRequest) -> str:
        """See `exec_url`; InvalidArgument for a port outside 1 to 65535."""
        for port in request.ports:
            if not 0 < port < 1 << 16:
                raise InvalidArgument(f"port {port} does not exist", where=request.sandbox_id)
        return self._url("portforward", request)

    def _command_url(self, kind: str, request: ExecRequest | AttachRequest) -> str:
        if request.tty and request.stderr:
            raise InvalidArgument("tty and stderr cannot both be true", where=request.container_id)
        if not (request.stdin or request.stdout or request.stderr):
            raise InvalidArgument("one of stdin, stdout, or stderr must be set", where=request.container_id)
        return self._url(kind, request)

    def _url(self, kind: str, request: StreamRequest) -> str:
        if self._server is None:
            raise Unavailable("the streaming server does not run", todo="Try again when the daemon has started.")
        return f"{self._base_url}/{kind}/{self._tokens.put(request)}"

    def _tls(self) -> ssl.SSLContext | None:
        if not self._tls_cert and not self._tls_key:
            return None
        if not (self._tls_cert and self._tls_key):
            raise InvalidArgument("TLS for streaming needs both a certificate and a key", where=self._tls_cert)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        with map_errors(OSError, InvalidArgument, "the streaming certificate cannot be used", where=self._tls_cert):
            context.load_cert_chain(self._tls_cert, self._tls_key)
        return context

    # --- connections ------------------------------------------------------------------------------------------

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection from its first byte to its end; nothing leaves here but cancellation."""
        task = asyncio.current_task()
        assert task is not None
        self._sessions.add(task)
        try:
            await self._serve(reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            pass  # the client went away
        except CricketError as e:
            _log.warning("a streaming session failed: %s", e)
        except Exception:
            _log.exception("a streaming session failed unexpectedly")
        finally:
            self._sessions.discard(task)
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            request = await _read_request(reader)
            wanted = self._take(request)
            upgrade = negotiate(request, wanted)
        except Refused as e:
            self.traffic.refused += 1
            writer.write(format_response(e.status, e.fields, e.what.encode() + b"\n"))
            await _drop_input(reader, writer)
            return
        writer.write(format_response(101, upgrade.fields))
        await self._run(
            Link(reader, writer, upgrade.mux, idle_timeout=self._idle_timeout, traffic=self.traffic), upgrade, wanted
        )

    def _take(self, request: Request) -> StreamRequest:
        """The request that the URL's token stands for; Refused (404) when there is none, used up when there is."""
        kind, _, token = request.path.removeprefix(self._prefix + "/").partition("/")
        if kind not in _KINDS or not request.path.startswith(self._prefix + "/"):
            raise Refused(404, "404 page not found")
        check_method(request)
        wanted = self._tokens.take(token)
        if not isinstance(wanted, _KINDS[kind]):
            raise Refused(404, "404 page not found")
        return wanted

    async def _run(self, link: Link, upgrade: Upgrade, wanted: StreamRequest) -> None:
        kind = next(name for name, type_ in _KINDS.items() if isinstance(wanted, type_))
        self.traffic.open[kind] += 1
        self.traffic.total[kind] += 1
        try:
            await link.run(self._session(link, upgrade, wanted))
        finally:
            self.traffic.open[kind] -= 1

    def _session(self, link: Link, upgrade: Upgrade, wanted: StreamRequest) -> Coroutine[None, None, None]:
        if isinstance(wanted, PortForwardRequest):
            forwarding = PortForwarding(link, self._backend, wanted, creation_timeout=self._creation_timeout)
            return forwarding.serve_channels() if upgrade.fixed else forwarding.serve_streams()
        if isinstance(wanted, ExecRequest):
            start = functools.partial(self._backend.exec, wanted)
        else:
            start = functools.partial(self._backend.attach, wanted)
        return serve_command(
            link, wanted, start, upgrade.dialect, fixed=upgrade.fixed, creation_timeout=self._creation_timeout
        )


async def _read_request(reader: asyncio.StreamReader) -> Request:
    """Read the head only: what follows belongs to the new protocol. Raises Refused."""
    try:
        async with asyncio.timeout(_HEAD_TIMEOUT):
            return parse_request(await reader.readuntil(b"\r\n\r\n"))
    except asyncio.LimitOverrunError as e:
        raise Refused(431, "the request header is too large") from e
    except TimeoutError as e:
        raise Refused(408, "the request did not come in time") from e


async def _drop_input(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Wait until the client has closed, a little while, so that it gets the answer instead of a reset."""
    if writer.can_write_eof():
        writer.write_eof()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(1.0):
            while await reader.read(MAX_HEAD):
                pass


def _url_host(host: str) -> str:
    """The host for URLs: the loopback address where the server listens on all; IPv6 in brackets."""
    address = ipaddress.ip_address(host)
    if address.is_unspecified:
        address = ipaddress.ip_address("127.0.0.1" if address.version == 4 else "::1")
    return str(address) if address.version == 4 else f"[{address}]"
