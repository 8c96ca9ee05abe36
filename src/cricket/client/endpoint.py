"""A runtime's socket: its path, connecting to it, and the limits of what is said there."""

from __future__ import annotations

import socket

from cricket.client.errors import EndpointError, UnreachableError

_PATIENCE = 30.0  # seconds that a busy listener has to accept
LARGEST_ANSWER, LARGEST_REQUEST = 64 << 20, 16 << 20
"""Bytes of a message; the runtimes take no larger requests, and few of them larger answers."""
CHANNEL_OPTIONS = (
    ("grpc.max_receive_message_length", LARGEST_ANSWER),
    ("grpc.max_send_message_length", LARGEST_REQUEST),
    ("grpc.enable_http_proxy", 0),
    # Servers in Go refuse the authority that gRPC makes of a socket's path.
    ("grpc.default_authority", "localhost"),
)


def socket_path(url: str) -> str:
    """The path of `unix:///run/x.sock`, `unix:/run/x.sock` or `/run/x.sock`. Raises EndpointError."""
    scheme, colon, rest = url.partition(":")
    if url.startswith("/"):
        return url
    path = "/" + rest.lstrip("/")
    if scheme != "unix" or not colon or path == "/":
        raise EndpointError(
            "the endpoint is no unix socket", where=url, todo="write it like unix:///run/cricket/cricket.sock"
        )
    return path


def connect(path: str, patience: float = _PATIENCE) -> socket.socket:
    """A connection, made within `patience` seconds. Raises UnreachableError with the kernel's reason."""
    todos = {
        FileNotFoundError: "start it with `cricket serve`, or name the socket with -r",
        ConnectionRefusedError: "the socket is a leftover; start the daemon with `cricket serve`",
        PermissionError: "be root, or in the group of the socket",
    }
    link = socket.socket(socket.AF_UNIX)
    try:
        link.settimeout(patience)
        link.connect(path)
    except OSError as error:
        link.close()
        todo = todos.get(type(error), "")
        raise UnreachableError("the daemon cannot be reached", where=f"unix://{path}", todo=todo) from error
    except BaseException:
        link.close()
        raise
    return link


def probe(path: str, patience: float = _PATIENCE) -> None:
    """Whether somebody listens, within `patience` seconds. Raises UnreachableError."""
    connect(path, patience).close()
