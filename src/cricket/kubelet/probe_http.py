"""A GET and a TCP connection, as probes and hooks make them."""

from __future__ import annotations

import asyncio
import ssl

from cricket.errors import CricketError
from cricket.kubelet.model.container import Container
from cricket.kubelet.model.probe import HTTPGetAction
from cricket.wire.http1 import format_request, parse_response

_MOST_HEAD = 64 << 10


def port_of(container: Container, port: int | str) -> int:
    """A port by its number or name. Raises ValueError when no port of the container has the name."""
    if isinstance(port, int):
        return port
    for candidate in container.ports:
        if candidate.name == port:
            return candidate.container_port
    if port.isdecimal():
        return int(port)
    raise ValueError(f"couldn't find port: {port}")


async def get(action: HTTPGetAction, host: str, port: int, agent: str, limit: float) -> tuple[bool, str]:
    """Send the GET; whether the status is 200 to 399, and the kubelet's words. `limit` in seconds."""
    path = action.path if action.path.startswith("/") else f"/{action.path}"
    shown = f"[{host}]" if ":" in host else host
    url = f"{action.scheme.lower()}://{shown}:{port}{path}"
    try:
        async with asyncio.timeout(limit):
            status = await _ask(action, host, port, path, agent)
    except TimeoutError:
        return False, f'Get "{url}": context deadline exceeded (Client.Timeout exceeded while awaiting headers)'
    except OSError as error:
        return False, f'Get "{url}": {_dial(shown, port, error)}'
    except (CricketError, ValueError) as error:
        return False, f'Get "{url}": malformed HTTP response: {error}'
    return 200 <= status < 400, f"HTTP probe failed with statuscode: {status}"


async def _ask(action: HTTPGetAction, host: str, port: int, path: str, agent: str) -> int:
    context = None
    if action.scheme == "HTTPS":
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # as the kubelet: the pod is its own
    reader, writer = await asyncio.open_connection(host, port, ssl=context, limit=_MOST_HEAD)
    try:
        given = {header.name.lower() for header in action.http_headers}
        fields = [(header.name, header.value) for header in action.http_headers]
        ours = (("Host", f"[{host}]:{port}" if ":" in host else f"{host}:{port}"), ("User-Agent", agent))
        fields += [field for field in (*ours, ("Accept", "*/*")) if field[0].lower() not in given]
        writer.write(format_request("GET", path, (*fields, ("Connection", "close"))))
        await writer.drain()
        head = await reader.readuntil(b"\r\n\r\n")
        return int(parse_response(head).status)
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
        raise ConnectionResetError("EOF") from error
    finally:
        writer.close()


async def connects(host: str, port: int, limit: float) -> tuple[bool, str]:
    """Open a TCP connection and close it."""
    shown = f"[{host}]" if ":" in host else host
    try:
        async with asyncio.timeout(limit):
            _, writer = await asyncio.open_connection(host, port)
    except TimeoutError:
        return False, f"dial tcp {shown}:{port}: i/o timeout"
    except OSError as error:
        return False, _dial(shown, port, error)
    writer.close()
    return True, ""


def _dial(host: str, port: int, error: OSError) -> str:
    said = error.strerror.lower() if error.strerror and "Connect call" not in error.strerror else ""
    if isinstance(error, ConnectionRefusedError):
        said = "connect: connection refused"
    return f"dial tcp {host}:{port}: {said or str(error).lower()}"
