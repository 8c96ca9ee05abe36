"""The socket's path, and the metrics endpoint."""

from __future__ import annotations

import asyncio
import os
import socket
import stat
from pathlib import Path
from typing import Any

import pytest

from cricket.cri import listening
from cricket.cri.fake import FakeEngine, FakeStreams
from cricket.cri.metrics_http import MetricsServer
from cricket.cri.server import CriServer
from cricket.errors import AlreadyExists, FailedPrecondition, InvalidArgument, Unavailable
from cricket.types.metrics import Registry


def test_the_directory_is_made_and_a_stale_socket_goes(tmp_path: Path) -> None:
    path = tmp_path / "new" / "dir" / "s"
    listening.prepare(str(path))
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o711
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(path))
    listening.prepare(str(path))
    assert not path.exists()


def test_a_socket_that_answers_stays(tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    with socket.socket(socket.AF_UNIX) as alive:
        alive.bind(path)
        alive.listen(1)
        with pytest.raises(AlreadyExists):
            listening.prepare(path)
    assert os.path.exists(path)


def test_something_else_at_the_path_stays(tmp_path: Path) -> None:
    (tmp_path / "s").write_text("mine")
    with pytest.raises(FailedPrecondition):
        listening.prepare(str(tmp_path / "s"))
    assert (tmp_path / "s").read_text() == "mine"
    with pytest.raises(FailedPrecondition):
        listening.prepare("/" + "x" * 120)


async def test_mode_of_the_socket_and_a_second_server(server: CriServer, client: Any, engine: FakeEngine) -> None:
    assert stat.S_IMODE(os.stat(server.path).st_mode) == 0o660
    second = CriServer(engine, FakeStreams(), server.path, registry=Registry())
    with pytest.raises(AlreadyExists):
        await second.start()
    assert (await client.call("Version")).runtime_name == "cricket"
    await second.stop()


async def _get(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes) -> bytes:
    writer.write(request)
    async with asyncio.timeout(5):
        answer = await reader.read()
    writer.close()
    return answer


async def test_metrics_over_tcp_and_unix(tmp_path: Path) -> None:
    registry = Registry()
    registry.counter("things_total", "Things.").inc(by=2)
    tcp, unix = MetricsServer("127.0.0.1:0", registry), MetricsServer(f"unix:{tmp_path}/m", registry)
    await tcp.start()
    await unix.start()
    answer = await _get(*await asyncio.open_connection("127.0.0.1", tcp.port), b"GET /metrics HTTP/1.1\r\n\r\n")
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200") and b"version=0.0.4" in head
    assert body == b"# HELP things_total Things.\n# TYPE things_total counter\nthings_total 2\n"
    for line, status in (
        (b"GET /healthz?x=1", b"200"),
        (b"HEAD /metrics", b"200"),
        (b"GET /", b"404"),
        (b"PUT /", b"405"),
    ):
        streams = await asyncio.open_unix_connection(f"{tmp_path}/m")
        answer = await _get(*streams, line + b" HTTP/1.1\r\nHost: x\r\n\r\n")
        assert answer.split(b" ")[1] == status
        if line.startswith(b"HEAD"):
            assert answer.endswith(b"\r\n\r\n")
    streams = await asyncio.open_unix_connection(f"{tmp_path}/m")
    assert await _get(*streams, b"x" * 20000 + b"\r\n\r\n") == b""
    await tcp.stop()
    await unix.stop()
    await unix.stop()


async def test_metrics_addresses(tmp_path: Path) -> None:
    for wrong in ("nonsense", "127.0.0.1:", ":80", "127.0.0.1:99999", "127.0.0.1:x"):
        with pytest.raises(InvalidArgument):
            MetricsServer(wrong)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen(1)
        with pytest.raises(Unavailable):
            await MetricsServer(f"127.0.0.1:{taken.getsockname()[1]}").start()
