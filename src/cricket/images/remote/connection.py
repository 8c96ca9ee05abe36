"""Connections to registries: made with the right TLS and proxy, kept for the next request to the same place."""

from __future__ import annotations

import contextlib
import threading
from http.client import HTTPConnection, HTTPSConnection
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import msgspec

from cricket.errors import FailedPrecondition
from cricket.images.remote.endpoint import DIAL_TIMEOUT, Tls
from cricket.images.remote.proxy import find_proxy

if TYPE_CHECKING:
    import ssl

_IDLE_PER_PLACE = 8


class Place(msgspec.Struct, frozen=True):
    """Where a connection goes; connections to equal places are interchangeable."""

    scheme: str
    host: str
    port: int
    tls: Tls = Tls()
    dial_timeout: float = DIAL_TIMEOUT


class Pool:
    """Idle connections by place; safe for threads. `stall`: seconds without a byte after which an operation fails."""

    def __init__(self, stall: float) -> None:
        self.stall = stall
        self._idle: dict[Place, list[HTTPConnection]] = {}
        self._contexts: dict[Tls, ssl.SSLContext] = {}
        self._lock = threading.Lock()

    def take(self, place: Place, *, fresh: bool = False) -> tuple[HTTPConnection, bool]:
        """(connection, whether it was used before). Raises OSError (also of TLS), FailedPrecondition for bad files."""
        with self._lock:
            idle = self._idle.get(place)
            if idle and not fresh:
                return idle.pop(), True
        return self._connect(place), False

    def give(self, place: Place, connection: HTTPConnection) -> None:
        """Hand back a connection whose answer was read to its end."""
        with self._lock:
            idle = self._idle.setdefault(place, [])
            if len(idle) < _IDLE_PER_PLACE:
                idle.append(connection)
                return
        connection.close()

    def close(self) -> None:
        """Close what is idle."""
        with self._lock:
            for idle in self._idle.values():
                for connection in idle:
                    connection.close()
            self._idle.clear()

    def _connect(self, place: Place) -> HTTPConnection:
        host = f"[{place.host}]" if ":" in place.host else place.host
        proxy = find_proxy(urlsplit(f"{place.scheme}://{host}:{place.port}"))
        at, port = (proxy.host, proxy.port) if proxy else (place.host, place.port)
        connection: HTTPConnection
        if place.scheme == "https":
            connection = HTTPSConnection(at, port, timeout=place.dial_timeout, context=self._context(place.tls))
            if proxy:
                extra = {"Proxy-Authorization": proxy.authorization} if proxy.authorization else {}
                connection.set_tunnel(place.host, place.port, extra)
        else:
            connection = HTTPConnection(at, port, timeout=place.dial_timeout)
        try:
            connection.connect()
            connection.sock.settimeout(self.stall)
        except BaseException:
            with contextlib.suppress(OSError):
                connection.close()
            raise
        return connection

    def _context(self, tls: Tls) -> ssl.SSLContext:
        with self._lock:
            if tls not in self._contexts:
                self._contexts[tls] = _make_context(tls)
            return self._contexts[tls]


def _make_context(tls: Tls) -> ssl.SSLContext:
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    if not tls.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    else:
        context.load_default_certs()
    for path in tls.ca:
        with _file_errors("cannot load a CA certificate", path):
            context.load_verify_locations(cafile=path)
    for cert, key in tls.client:
        with _file_errors("cannot load a client certificate", cert):
            context.load_cert_chain(cert, key, password="")
    return context


@contextlib.contextmanager
def _file_errors(what: str, path: str):  # type: ignore[no-untyped-def]  # a generator, typed by its decorator
    try:
        yield
    except (OSError, ValueError) as e:
        raise FailedPrecondition(what, where=path) from e
