"""What the server refuses, when it gives up, and that it cleans up."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from streaming_localbackend import LocalBackend

from cricket.client.streams import Transport, run_command, upgrade
from cricket.errors import InvalidArgument, ResourceExhausted, Unavailable
from cricket.kernel.process import run
from cricket.streaming.server import StreamServer
from cricket.streaming.tokens import Tokens
from cricket.types.streams import AttachRequest, ExecRequest, PortForwardRequest
from cricket.wire.channel_mux import ChannelMux
from cricket.wire.remotecommand import WEBSOCKET_DIALECTS
from cricket.wire.spdy_session import SpdySession

ECHO = ExecRequest("c", ("echo", "hi"))


async def raw(server: StreamServer, data: bytes) -> bytes:
    """Send bytes and read all that comes back."""
    address, _, port = server.exec_url(ECHO).split("/")[2].rpartition(":")
    reader, writer = await asyncio.open_connection(address, int(port))
    writer.write(data)
    try:
        async with asyncio.timeout(5):
            return await reader.read()
    finally:
        writer.close()


def path(url: str) -> str:
    return "/" + url.split("/", 3)[3]


SPDY = "Connection: Upgrade\r\nUpgrade: SPDY/3.1\r\nX-Stream-Protocol-Version: v4.channel.k8s.io\r\n"
WEBSOCKET = (
    "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: v5.channel.k8s.io\r\n"
)


def request(target: str, fields: str = SPDY, method: str = "POST") -> bytes:
    return f"{method} {target} HTTP/1.1\r\nHost: x\r\n{fields}\r\n".encode()


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (request("/exec/unknown"), 404),
        (request("/"), 404),
        (request("/other/unknown"), 404),
        (b"nonsense\r\n\r\n", 400),
        (b"GET / HTTP/1.0\r\n\r\n", 505),
        (request("/exec/x", "X: " + "y" * 40000 + "\r\n"), 431),
        (request("/exec/x", "".join(f"x{i}: y\r\n" for i in range(200))), 431),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),
    ],
)
async def test_bad_requests(server: StreamServer, data: bytes, status: int) -> None:
    assert (await raw(server, data)).startswith(f"HTTP/1.1 {status} ".encode())


async def test_a_token_is_used_up_by_the_first_request(server: StreamServer) -> None:
    target = path(server.exec_url(ECHO))
    assert (await raw(server, request(target, method="DELETE"))).startswith(b"HTTP/1.1 405 ")
    assert (await raw(server, request(target, ""))).startswith(b"HTTP/1.1 400 ")
    assert (await raw(server, request(target))).startswith(b"HTTP/1.1 404 ")
    assert server.traffic.refused == 3


async def test_a_token_is_good_for_its_kind_only(server: StreamServer) -> None:
    target = path(server.exec_url(ECHO)).replace("/exec/", "/attach/")
    assert (await raw(server, request(target))).startswith(b"HTTP/1.1 404 ")


async def test_no_version_in_common(server: StreamServer) -> None:
    answer = await raw(server, request(path(server.exec_url(ECHO)), SPDY.replace("v4", "v9")))
    assert answer.startswith(b"HTTP/1.1 403 Forbidden\r\n")
    assert b"X-Accepted-Stream-Protocol-Versions: v4.channel.k8s.io\r\n" in answer
    assert b"unable to negotiate protocol" in answer


@pytest.mark.parametrize("noise", [b"\xff" * 100, b"GET / HTTP/1.1\r\n\r\n" * 10, b"\x80\x03\x00\x01\x00\xff\xff\xff"])
@pytest.mark.parametrize("fields", [SPDY, WEBSOCKET])
async def test_hostile_bytes_after_the_upgrade_close_that_connection(
    server: StreamServer, noise: bytes, fields: str, caplog: pytest.LogCaptureFixture
) -> None:
    method = "GET" if fields is WEBSOCKET else "POST"
    data = request(path(server.exec_url(ECHO)), fields, method) + noise
    assert (await raw(server, data)).startswith(b"HTTP/1.1 101 ")
    assert not caplog.records
    collected = b""

    async def sink(piece: bytes) -> None:
        nonlocal collected
        collected += piece

    url = server.exec_url(ExecRequest("c", ("echo", "fine"), stderr=False))
    assert await run_command(url, transport="spdy", stdout=sink) == 0
    assert collected == b"fine\n"


async def test_streams_that_never_come(server: StreamServer, backend: LocalBackend) -> None:
    url = server.exec_url(ECHO)
    connection = await upgrade(url, "spdy", ("v4.channel.k8s.io",), lambda _: SpdySession(server=False))
    error = await connection.open({"streamtype": "error"})
    assert b"timed out waiting for client to create streams" in await error.read_all()
    await connection.close()
    assert not backend.processes


async def test_unknown_and_double_streams_are_refused_superfluous_ones_lead_nowhere(server: StreamServer) -> None:
    url = server.exec_url(ECHO)
    connection = await upgrade(url, "spdy", ("v4.channel.k8s.io",), lambda _: SpdySession(server=False))
    for headers in ({"streamtype": "odd"}, {}):
        with pytest.raises(Unavailable):
            await connection.open(headers)
    error = await connection.open({"streamtype": "error"})
    with pytest.raises(Unavailable):
        await connection.open({"streamtype": "error"})
    stdin = await connection.open({"streamtype": "stdin"})
    await stdin.write(bytes(3_000_000))
    stdout = await connection.open({"streamtype": "stdout"})
    await connection.open({"streamtype": "stderr"})
    assert await stdout.read_all() == b"hi\n"
    assert b"Success" in await error.read_all()
    await connection.close()


async def silent() -> AsyncIterator[bytes]:
    await asyncio.Event().wait()
    yield b""


async def full() -> AsyncIterator[bytes]:
    while True:
        yield bytes(65536)


@pytest.mark.parametrize("source", [silent, full])
@pytest.mark.parametrize("transport", ["spdy", "websocket"])
async def test_a_client_that_goes_takes_the_process_along(
    server: StreamServer, backend: LocalBackend, transport: Transport, source: object
) -> None:
    """Also when its input has filled every buffer, so that the connection is not read any more."""
    url = server.exec_url(ExecRequest("c", ("sleep", "1000"), stdin=True))

    async def sink(data: bytes) -> None:
        raise AssertionError(data)

    client = asyncio.ensure_future(
        run_command(url, transport=transport, stdin=source(), stdout=sink, stderr=sink)  # type: ignore[operator]
    )
    async with asyncio.timeout(20):
        await backend.started.wait()
        client.cancel()
        await asyncio.gather(client, return_exceptions=True)
        assert await backend.processes[0].child.wait() == 137
        while server.traffic.open["exec"]:
            await asyncio.sleep(0.01)


async def test_an_idle_session_is_closed(backend: LocalBackend) -> None:
    server = StreamServer(backend, idle_timeout=0.2)
    await server.start()

    async def sink(data: bytes) -> None:
        raise AssertionError(data)

    try:
        url = server.exec_url(ExecRequest("c", ("sleep", "1000"), stderr=False))
        with pytest.raises(Unavailable, match="without an exit status"):
            await run_command(url, stdout=sink)
        assert await backend.processes[0].child.wait() == 137
    finally:
        await server.stop()


async def test_stop_ends_sessions(backend: LocalBackend) -> None:
    server = StreamServer(backend)
    await server.start()
    got = asyncio.Event()

    async def sink(data: bytes) -> None:
        got.set()

    url = server.exec_url(ExecRequest("c", ("sh", "-c", "echo; sleep 1000"), stderr=False))
    client = asyncio.ensure_future(run_command(url, stdout=sink))
    await got.wait()
    await server.stop()
    await server.stop()
    with pytest.raises(Unavailable):
        await client
    assert backend.processes[0].closed
    with pytest.raises(Unavailable):
        server.exec_url(ECHO)


async def test_a_slow_client_slows_the_process_down(server: StreamServer, backend: LocalBackend) -> None:
    """Nothing is read ahead: an endless writer gets no further than the buffers between it and the client."""
    go_on = asyncio.Event()
    first = asyncio.Event()

    async def sink(data: bytes) -> None:
        first.set()
        await go_on.wait()

    url = server.exec_url(ExecRequest("c", ("yes",), stderr=False))
    client = asyncio.ensure_future(run_command(url, transport="spdy", stdout=sink))
    await first.wait()
    last = -1
    async with asyncio.timeout(20):
        while last != server.traffic.sent:
            last = server.traffic.sent
            await asyncio.sleep(0.2)
    assert server.traffic.sent < 16 << 20
    client.cancel()
    await asyncio.gather(client, return_exceptions=True)


async def test_v5_is_what_clients_get_by_default(server: StreamServer) -> None:
    connection = await upgrade(
        server.exec_url(ECHO),
        "websocket",
        ("v5.channel.k8s.io", "v4.channel.k8s.io"),
        lambda name: ChannelMux(WEBSOCKET_DIALECTS[name], 5, server=False),
    )
    assert connection.name == "v5.channel.k8s.io"
    assert await connection.channel(1).read() == b"hi\n"
    assert b"Success" in await connection.channel(3).read()
    await connection.close()


@pytest.mark.parametrize(
    "bad",
    [
        ExecRequest("c", ()),
        ExecRequest("c", ("x",), tty=True),
        ExecRequest("c", ("x",), stdout=False, stderr=False),
        AttachRequest("c", tty=True),
        AttachRequest("c", stdout=False, stderr=False),
        PortForwardRequest("s", (0,)),
        PortForwardRequest("s", (65536,)),
    ],
)
async def test_impossible_requests(server: StreamServer, bad: object) -> None:
    with pytest.raises(InvalidArgument):
        if isinstance(bad, ExecRequest):
            server.exec_url(bad)
        elif isinstance(bad, AttachRequest):
            server.attach_url(bad)
        elif isinstance(bad, PortForwardRequest):
            server.port_forward_url(bad)


async def test_the_token_cache_is_bounded(backend: LocalBackend) -> None:
    server = StreamServer(backend, tokens=Tokens(capacity=2))
    await server.start()
    server.exec_url(ECHO)
    server.exec_url(ECHO)
    with pytest.raises(ResourceExhausted):
        server.exec_url(ECHO)
    await server.stop()


async def test_tls_and_base_url(backend: LocalBackend, tmp_path: Path) -> None:
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    made = await run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=x"]
        + ["-addext", "subjectAltName=IP:127.0.0.1", "-days", "1", "-keyout", str(key), "-out", str(cert)]
    )
    assert made.code == 0, made.error_text
    server = StreamServer(backend, tls_cert=str(cert), tls_key=str(key))
    await server.start()
    got = b""

    async def sink(data: bytes) -> None:
        nonlocal got
        got += data

    transports: tuple[Transport, ...] = ("spdy", "websocket")
    for transport in transports:
        got = b""
        url = server.exec_url(ExecRequest("c", ("head", "-c", "5000000", "/dev/zero"), stderr=False))
        assert url.startswith("https://127.0.0.1:")
        tls = ssl.create_default_context(cafile=str(cert))
        assert await run_command(url, transport=transport, stdout=sink, tls=tls) == 0
        assert got == bytes(5_000_000)
    with pytest.raises(Unavailable):
        await run_command(server.exec_url(ECHO), stdout=sink, stderr=sink)
    await server.stop()


async def test_a_base_url_with_a_prefix(backend: LocalBackend) -> None:
    plain = StreamServer(backend)
    await plain.start()
    port = plain.exec_url(ECHO).split("/")[2].rpartition(":")[2]
    await plain.stop()
    server = StreamServer(backend, port=int(port), base_url=f"http://127.0.0.1:{port}/stream/")
    await server.start()
    url = server.exec_url(ECHO)
    assert url.startswith(f"http://127.0.0.1:{port}/stream/exec/")
    got = b""

    async def sink(data: bytes) -> None:
        nonlocal got
        got += data

    assert await run_command(url, stdout=sink, stderr=sink) == 0
    assert got == b"hi\n"
    await server.stop()


async def test_bad_settings_are_told(backend: LocalBackend, tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument):
        await StreamServer(backend, tls_cert="x").start()
    with pytest.raises(InvalidArgument):
        await StreamServer(backend, tls_cert=str(tmp_path / "no"), tls_key=str(tmp_path / "no")).start()
    with pytest.raises(Unavailable):
        await StreamServer(backend, address="192.0.2.1").start()
