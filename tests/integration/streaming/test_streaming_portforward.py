"""Port-forward in all forms, to a real TCP server."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator

import pytest

from cricket.client.streams import Connection, PortForward, Transport, upgrade
from cricket.errors import Unavailable
from cricket.streaming.server import StreamServer
from cricket.types.streams import PortForwardRequest
from cricket.wire.channel_mux import ChannelMux
from cricket.wire.remotecommand import WEBSOCKET_PORT_DIALECTS
from cricket.wire.spdy_session import SpdySession

TRANSPORTS: list[Transport] = ["spdy", "websocket"]


@pytest.fixture
async def echo() -> AsyncIterator[int]:
    """A server that sends back what it gets, and its end."""
    writers = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        try:
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1]
    server.close()
    for writer in writers:
        writer.close()
    await server.wait_closed()


async def free_port() -> int:
    server = await asyncio.start_server(lambda r, w: None, "127.0.0.1", 0)
    port: int = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    return port


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_several_connections_with_half_close(server: StreamServer, echo: int, transport: Transport) -> None:
    async with PortForward(server.port_forward_url(PortForwardRequest("s")), transport=transport) as session:
        streams = [await session.connect(echo) for _ in range(5)]

        async def talk(number: int) -> None:
            stream = streams[number]
            payload = bytes([number]) * 300_000
            reading = asyncio.ensure_future(stream.data.read_all())
            await stream.data.write(payload)
            await stream.data.end()
            assert await reading == payload
            assert await stream.error_text() == ""

        await asyncio.gather(*(talk(number) for number in range(5)))


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_much_data(server: StreamServer, echo: int, transport: Transport) -> None:
    async with PortForward(server.port_forward_url(PortForwardRequest("s")), transport=transport) as session:
        stream = await session.connect(echo)
        block = bytes(range(256)) * 256

        async def feed() -> None:
            for _ in range(500):
                await stream.data.write(block)
            await stream.data.end()

        feeding = asyncio.ensure_future(feed())
        digest = hashlib.sha256()
        while data := await stream.data.read():
            digest.update(data)
        await feeding
        assert digest.digest() == hashlib.sha256(block * 500).digest()


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_closed_port_is_told_and_the_session_goes_on(
    server: StreamServer, echo: int, transport: Transport
) -> None:
    async with PortForward(server.port_forward_url(PortForwardRequest("s")), transport=transport) as session:
        broken = await session.connect(await free_port())
        assert "error forwarding port" in await broken.error_text()
        assert await broken.data.read() == b""
        good = await session.connect(echo)
        await good.data.write(b"x")
        assert await good.data.read() == b"x"
        await good.close()


async def test_a_port_outside_the_request_is_refused(server: StreamServer, echo: int) -> None:
    request = PortForwardRequest("s", (echo % 65535 + 1,))
    async with PortForward(server.port_forward_url(request), transport="spdy") as session:
        assert "not part of the request" in await (await session.connect(echo)).error_text()


async def test_a_stuck_connection_does_not_stop_others_when_both_ends_have_flow_control(
    server: StreamServer, echo: int
) -> None:
    """The stuck server never reads; its stream's window fills, and the session window is left for the others."""
    stuck_writers = []

    async def stuck(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        stuck_writers.append(writer)
        writer.transport.pause_reading()  # type: ignore[attr-defined]  # a read transport as well

    stubborn = await asyncio.start_server(stuck, "127.0.0.1", 0)
    port = stubborn.sockets[0].getsockname()[1]
    async with PortForward(server.port_forward_url(PortForwardRequest("s")), transport="spdy") as session:
        blocked = await session.connect(port)
        flood = asyncio.ensure_future(blocked.data.write(bytes(50_000_000)))
        done, _ = await asyncio.wait([flood], timeout=0.5)
        assert not done
        good = await session.connect(echo)
        await good.data.write(b"still alive")
        assert await good.data.read() == b"still alive"
        flood.cancel()
    for writer in stuck_writers:
        writer.close()
    stubborn.close()
    await stubborn.wait_closed()


@pytest.mark.parametrize("name", ["v4.channel.k8s.io", "v4.base64.channel.k8s.io", ""])
async def test_numbered_channels(server: StreamServer, echo: int, name: str) -> None:
    refused = await free_port()
    url = server.port_forward_url(PortForwardRequest("s", (echo, refused)))
    connection = await upgrade(
        url, "websocket", (name,), lambda n: ChannelMux(WEBSOCKET_PORT_DIALECTS[n], 4, server=False)
    )
    data, error, data2, error2 = (connection.channel(number) for number in range(4))
    for channel, port in ((data, echo), (error, echo), (data2, refused), (error2, refused)):
        assert (await channel.read())[:2] == port.to_bytes(2, "little")
    await data.write(b"ping")
    assert await data.read() == b"ping"
    assert b"error forwarding port" in await error2.read()
    await connection.close()


async def spdy(server: StreamServer) -> Connection:
    url = server.port_forward_url(PortForwardRequest("s"))
    return await upgrade(url, "spdy", ("portforward.k8s.io",), lambda _: SpdySession(server=False))


async def test_old_clients_without_request_id(server: StreamServer, echo: int) -> None:
    connection = await spdy(server)
    await connection.open({"streamtype": "error", "port": str(echo)})
    data = await connection.open({"streamtype": "data", "port": str(echo)})
    await data.write(b"old")
    assert await data.read() == b"old"
    await connection.close()


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"streamtype": "data"},
        {"streamtype": "data", "port": "0"},
        {"streamtype": "data", "port": "65536"},
        {"streamtype": "data", "port": "80x"},
        {"streamtype": "shell", "port": "80"},
    ],
)
async def test_streams_that_make_no_sense_are_refused(server: StreamServer, headers: dict[str, str]) -> None:
    connection = await spdy(server)
    with pytest.raises(Unavailable, match="refused"):
        await connection.open(headers)
    await connection.close()


async def test_half_a_pair_times_out(server: StreamServer) -> None:
    connection = await spdy(server)
    error = await connection.open({"streamtype": "error", "port": "80", "requestid": "1"})
    data = await connection.open({"streamtype": "data", "port": "80", "requestid": "2"})
    assert b"timed out waiting for streams" in await error.read_all()
    assert await data.read() == b""
    await connection.close()


async def test_a_stream_twice(server: StreamServer) -> None:
    connection = await spdy(server)
    headers = {"streamtype": "error", "port": "80", "requestid": "1"}
    error = await connection.open(headers)
    again = await connection.open(headers)
    assert b"already assigned" in await error.read_all()
    assert await again.read() == b""
    await connection.close()
