"""One HTTP request and its answer, with redirects, over pooled connections."""

from __future__ import annotations

import contextlib
import time
from http.client import HTTPConnection, HTTPException, HTTPResponse, RemoteDisconnected
from types import TracebackType
from urllib.parse import SplitResult, urljoin, urlsplit

import msgspec

from cricket.errors import FailedPrecondition, RegistryUnavailable, ResourceExhausted
from cricket.images.remote.connection import Place, Pool
from cricket.images.remote.endpoint import DIAL_TIMEOUT, Tls
from cricket.images.remote.failure import network_errors
from cricket.images.remote.proxy import find_proxy

_REDIRECTS = (301, 302, 303, 307, 308)
_REDIRECTS_MAX = 10
_DRAIN_MAX = 64 << 10
_STALE = (RemoteDisconnected, ConnectionResetError, BrokenPipeError, ConnectionAbortedError)


class Request(msgspec.Struct, frozen=True):
    """`private` headers (credentials, configured ones) never follow a redirect to another host.

    `plain_redirects` lets a redirect go from https to http.
    """

    method: str
    url: str
    headers: dict[str, str] = {}
    private: tuple[tuple[str, str], ...] = ()
    body: bytes | None = None
    tls: Tls = Tls()
    dial_timeout: float = DIAL_TIMEOUT
    plain_redirects: bool = False


class Reply:
    """An answer whose body is still to be read; a context manager that frees the connection."""

    def __init__(self, pool: Pool, place: Place, connection: HTTPConnection, response: HTTPResponse, url: str) -> None:
        self._pool, self._place, self._connection, self._response = pool, place, connection, response
        self.url = url
        self.redirected = False
        self.status = response.status
        self.headers = response.headers
        self.where = _without_query(url)

    @property
    def length(self) -> int | None:
        """Bytes of the body that are still to come, None when the server does not say."""
        return self._response.length

    def challenges(self) -> list[str]:
        """The WWW-Authenticate headers."""
        return self._response.headers.get_all("WWW-Authenticate") or []

    def readinto(self, view: memoryview) -> int:
        """Read some bytes as they come; 0 at the end, which may be early. Raises RegistryUnavailable."""
        response = self._response
        with network_errors(self.where):
            if response.chunked or response.length is None or response.fp is None:
                return response.readinto(view)
            if response.length < len(view):
                view = view[: response.length]
            # One read from the socket: what has come counts as progress and is not lost when the next read fails.
            read = response.fp.readinto1(view) if view else 0
            response.length -= read
            return int(read)

    def read(self, limit: int, what: str) -> bytes:
        """The whole body. ResourceExhausted beyond `limit` bytes; RegistryUnavailable when it is cut or drips."""
        if self.length is not None and self.length > limit:
            raise ResourceExhausted(f"{what} is larger than the {limit} bytes allowed", where=self.where)
        chunks, size, buffer = [], 0, memoryview(bytearray(min(limit + 1, 64 << 10)))
        expected, give_up = self.length, time.monotonic() + 4 * self._pool.stall
        while read := self.readinto(buffer):
            chunks.append(bytes(buffer[:read]))
            size += read
            if size > limit:
                raise ResourceExhausted(f"{what} is larger than the {limit} bytes allowed", where=self.where)
            if time.monotonic() > give_up:
                raise RegistryUnavailable(f"{what} comes too slowly", where=self.where)
        if expected is not None and size < expected:
            raise RegistryUnavailable(f"{what} ended after {size} of {expected} bytes", where=self.where)
        return b"".join(chunks)

    def error_body(self) -> bytes:
        """The beginning of the body of an error answer; b"" when it cannot be read."""
        try:
            return self.read(_DRAIN_MAX, "an error message")
        except (RegistryUnavailable, ResourceExhausted):
            return b""

    def close(self) -> None:
        """Free the connection: kept when the answer was read to its end, closed otherwise. Idempotent."""
        response = self._response
        if response.isclosed() or response.length == 0:
            with contextlib.suppress(OSError, HTTPException, ValueError):
                response.read(0)
                response.close()
            if not response.will_close:
                self._pool.give(self._place, self._connection)
                return
        response.close()
        self._connection.close()

    def __enter__(self) -> Reply:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, t: TracebackType | None) -> None:
        self.close()


def exchange(pool: Pool, request: Request) -> Reply:
    """Send a request and follow redirects. The final answer may have any status.

    Raises RegistryUnavailable for the network, FailedPrecondition for a redirect that is refused.
    """
    url, headers, tls = request.url, {**request.headers, **dict(request.private)}, request.tls
    for hop in range(_REDIRECTS_MAX + 1):
        reply = _send(pool, request, url, headers, tls)
        target = reply.headers.get("Location")
        if reply.status not in _REDIRECTS or not target or request.method not in ("GET", "HEAD"):
            reply.redirected = hop > 0
            return reply
        with reply:
            reply.error_body()
        parts, new = urlsplit(url), _target(url, target)
        if parts.scheme == "https" and new.scheme == "http" and not request.plain_redirects:
            raise FailedPrecondition("refused a redirect from https to http", where=f"{reply.where} -> {new.netloc}")
        if (parts.hostname, _port(parts)) != (new.hostname, _port(new)):
            headers, tls = dict(request.headers), msgspec.structs.replace(request.tls, client=())
        url = new.geturl()
    raise FailedPrecondition(f"more than {_REDIRECTS_MAX} redirects", where=_without_query(request.url))


def _target(url: str, location: str) -> SplitResult:
    where = _without_query(url)
    try:
        new = urlsplit(urljoin(url, location))
        _port(new)
    except ValueError as e:
        raise FailedPrecondition("a redirect goes to no valid URL", where=where) from e
    if new.scheme not in ("http", "https") or not new.hostname:
        raise FailedPrecondition("a redirect goes to no http URL", where=where)
    netloc = new.netloc.rpartition("@")[2]  # a user name in a redirect is nothing that we send
    return new._replace(netloc=netloc, fragment="")


def _send(pool: Pool, request: Request, url: str, headers: dict[str, str], tls: Tls) -> Reply:
    parts, where = urlsplit(url), _without_query(url)
    with network_errors(where):
        tls = tls if parts.scheme == "https" else Tls()
        place = Place(parts.scheme, parts.hostname or "", _port(parts), tls, request.dial_timeout)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        if parts.scheme == "http":
            proxy = find_proxy(parts)
            if proxy:
                target, headers = url, {**headers, "Host": parts.netloc}
                headers |= {"Proxy-Authorization": proxy.authorization} if proxy.authorization else {}
        connection, used = pool.take(place)
        try:
            response = _ask(connection, request, target, headers)
        except _STALE:
            # A kept connection may have been closed by the server meanwhile: that is no failure of the registry.
            connection.close()
            if not used:
                raise
            connection, _ = pool.take(place, fresh=True)
            response = _ask(connection, request, target, headers)
        return Reply(pool, place, connection, response, url)


def _ask(connection: HTTPConnection, request: Request, target: str, headers: dict[str, str]) -> HTTPResponse:
    try:
        connection.request(request.method, target, request.body, headers)
        return connection.getresponse()
    except BaseException:
        connection.close()
        raise


def _port(parts: SplitResult) -> int:
    return parts.port or (443 if parts.scheme == "https" else 80)


def _without_query(url: str) -> str:
    """A URL for messages: queries may hold signatures."""
    return url.partition("?")[0]
