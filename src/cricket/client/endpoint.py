"""A runtime's socket: its path, whether somebody listens, and how gRPC connects to it."""

from __future__ import annotations

import socket

from cricket.client.errors import EndpointError, UnreachableError

_PATIENCE = 30.0  # seconds that a busy listener has to accept
CHANNEL_OPTIONS = (
    ("grpc.max_receive_message_length", 64 << 20),
    ("grpc.max_send_message_length", 16 << 20),
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


def probe(path: str, patience: float = _PATIENCE) -> None:
    """Connect once, within `patience` seconds. gRPC would only say that it is unavailable; the kernel says why. Raises
    UnreachableError."""
    todos = {
        FileNotFoundError: "start it with `cricket serve`, or name the socket with -r",
        ConnectionRefusedError: "the socket is a leftover; start the daemon with `cricket serve`",
        PermissionError: "be root, or in the group of the socket",
    }
    with socket.socket(socket.AF_UNIX) as attempt:
        try:
            attempt.settimeout(patience)
            attempt.connect(path)
        except OSError as error:
            todo = todos.get(type(error), "")
            raise UnreachableError("the daemon cannot be reached", where=f"unix://{path}", todo=todo) from error
