"""The agent's local HTTP API: GET only, JSON in Kubernetes' form, on a unix socket and on loopback if asked.

/healthz, /pods (v1.PodList), /events, /stats/summary, /metrics and /metrics/resource (Prometheus), /configz,
/containerLogs/NAMESPACE/POD/CONTAINER. HTTP/1.1, one request a connection.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from http import HTTPStatus
from typing import Any

from cricket.errors import CricketError, FailedPrecondition, InvalidArgument, NotFound, map_errors
from cricket.kubelet.agent import Agent
from cricket.kubelet.api_answers import configuration, event_list, pod_list, summary
from cricket.kubelet.api_logs import PATH, send_logs
from cricket.kubelet.api_metrics import metrics, resource_metrics
from cricket.wire.http1 import MAX_HEAD, Refused, parse_request

_LIMIT = 10.0


class Api:
    """The server. `close` is idempotent."""

    def __init__(self, agent: Agent) -> None:
        self._agent = agent
        self._servers: list[asyncio.Server] = []

    async def listen_unix(self, path: str) -> None:
        """Listen on a socket of mode 0660, in the place of a leftover. Raises FailedPrecondition."""
        with map_errors(OSError, FailedPrecondition, "the agent's API cannot listen", where=path):
            os.makedirs(os.path.dirname(path), exist_ok=True)
            if await _answers(path):
                raise FailedPrecondition("another agent listens there", where=path)
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
            server = await asyncio.start_unix_server(self._serve, path, limit=MAX_HEAD)
            os.chmod(path, 0o660)
        self._servers.append(server)

    async def listen_loopback(self, port: int) -> int:
        """Listen on 127.0.0.1; returns the port. Raises FailedPrecondition."""
        with map_errors(OSError, FailedPrecondition, "the agent's API cannot listen", where=f"127.0.0.1:{port}"):
            server = await asyncio.start_server(self._serve, "127.0.0.1", port, limit=MAX_HEAD)
        self._servers.append(server)
        return int(server.sockets[0].getsockname()[1])

    async def close(self) -> None:
        """End it."""
        servers, self._servers = self._servers, []
        for server in servers:
            for sock in server.sockets:
                name = sock.getsockname()
                if isinstance(name, str):
                    with contextlib.suppress(OSError):
                        os.unlink(name)
            server.close()
            await server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(_LIMIT):
                head = await reader.readuntil(b"\r\n\r\n")
            writer.write(await self._answer(head, writer))
            async with asyncio.timeout(_LIMIT):
                await writer.drain()
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # the client's affair
        finally:
            writer.close()

    async def _answer(self, head: bytes, writer: asyncio.StreamWriter) -> bytes:
        """The answer; nothing when it was sent already."""
        try:
            request = parse_request(head)
            if request.method != "GET":
                return _response(405, "only GET")
            if request.path.startswith(PATH):
                await send_logs(self._agent, request.target, writer)
                return b""
            async with asyncio.timeout(_LIMIT):
                body = await self._body(request.path)
        except Refused as error:
            return _response(error.status, error.what)
        except (NotFound, InvalidArgument) as error:
            return _response(404 if isinstance(error, NotFound) else 400, error.what)
        except CricketError as error:
            return _response(503, str(error))
        return _response(404, "not found") if body is None else _response(200, body)

    async def _body(self, path: str) -> Any:
        agent = self._agent
        if path == "/healthz":
            return "ok"
        if path == "/pods":
            return pod_list(agent)
        if path == "/events":
            return event_list(agent)
        if path == "/metrics":
            return metrics(agent)
        if path == "/metrics/resource":
            return await resource_metrics(agent)
        if path == "/configz":
            return configuration(agent)
        return await summary(agent) if path == "/stats/summary" else None


def _response(status: int, body: Any) -> bytes:
    text = isinstance(body, str)
    data = body.encode() if text else json.dumps(body).encode()
    kind = "text/plain; charset=utf-8" if text else "application/json"
    head = f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\nContent-Type: {kind}\r\n"
    return f"{head}Content-Length: {len(data)}\r\nConnection: close\r\n\r\n".encode() + data


async def _answers(path: str) -> bool:
    try:
        _, writer = await asyncio.open_unix_connection(path)
    except OSError:
        return False
    writer.close()
    return True
