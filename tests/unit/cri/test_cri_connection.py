"""The server's transport: what a call costs, slow and vanishing clients, limits, and the end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import grpc
import pytest
from harness.raw_http2 import Raw

from cricket._proto.cri import api_pb2 as pb
from cricket.cri.fake import FakeEngine, FakeStreams
from cricket.cri.server import CriServer
from cricket.types.metrics import Registry
from cricket.wire import http2_frames as f
from cricket.wire.http2_frames import Type

PULL = pb.PullImageRequest(image=pb.ImageSpec(image="busybox"))


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.005)


@pytest.mark.parametrize("name", ["ListPodSandbox", "ListContainers", "Version", "ListImages"])
async def test_a_question_costs_no_task_and_one_write(
    client: Any, server: CriServer, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    box = await client.sandbox()
    await client.container(box)
    raw = Raw(*await asyncio.open_unix_connection(server.path), 1 << 20)
    service = "ImageService" if "Image" in name else "RuntimeService"
    raw.call(1, f"{service}/{name}")
    assert await raw.status() == "0"
    [mine] = [c for c in server._served.connections if c.idle and c._http2._last == 1]
    writes: list[int] = []
    real = mine._transport
    assert real is not None
    tasks: list[Any] = []
    loop = asyncio.get_running_loop()
    make = loop.create_task
    monkeypatch.setattr(loop, "create_task", lambda coro, **kw: tasks.append(coro) or make(coro, **kw))

    class Counting:
        def write(self, data: bytes) -> None:
            writes.append(len(data))
            real.write(data)

    mine._transport = Counting()  # type: ignore[assignment]  # a transport that counts
    raw.call(3, f"{service}/{name}")
    _, stream, _ = await raw.frame(Type.DATA)
    mine._transport = real
    raw.writer.close()
    assert stream == 3 and len(writes) == 1
    assert [t for t in tasks if "_run" in getattr(t, "__qualname__", "")] == []


async def test_nothing_piles_up_for_a_slow_reader(raw: Any, engine: FakeEngine, monkeypatch: Any) -> None:
    made = 0

    async def events() -> AsyncIterator[Any]:
        nonlocal made
        while True:
            made += 1
            yield event
            await asyncio.sleep(0)

    client = await raw(window=1000)
    from cricket.types.event import Event, EventType

    event = Event("c" * 64, "s" * 64, EventType.STARTED, 1, None)
    monkeypatch.setattr(engine.node, "events", events)
    client.call(1, "RuntimeService/GetContainerEvents")
    await client.frame(Type.DATA)
    await until(lambda: made > 3)
    for _ in range(50):
        await asyncio.sleep(0)
    before = made
    assert before < 30
    client.writer.write(f.window_update(1, 1000))
    await until(lambda: made > before)
    client.writer.write(f.reset(1, f.Reason.CANCEL))


async def test_a_deadline_is_kept_for_a_client_that_does_not(raw: Any, engine: FakeEngine) -> None:
    ended: list[str] = []

    async def pull(*args: Any) -> str:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            ended.append("pull")
            raise
        return ""

    engine.images.pull = pull  # type: ignore[method-assign]  # a pull that hangs
    client = await raw()
    client.call(1, "ImageService/PullImage", PULL.SerializeToString(), grpc_timeout="50m")
    assert await client.status() == "4"
    await until(lambda: ended)
    client.call(3, "ImageService/PullImage", PULL.SerializeToString())
    client.call(5, "RuntimeService/Version")
    assert await client.status() == "0"
    client.writer.close()
    await until(lambda: len(ended) == 2)


async def test_a_client_that_is_gone_leaves_nothing(raw: Any, server: CriServer) -> None:
    client = await raw()
    client.call(1, "RuntimeService/GetContainerEvents")
    await client.frame(Type.HEADERS)
    assert len(server._served.connections) == 1 and len(server._served.tasks) == 1
    client.writer.transport.abort()
    await until(lambda: not server._served.connections and not server._served.tasks)


async def test_calls_at_a_time_are_limited(raw: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cricket.cri.served.MAX_CALLS", 1)
    client = await raw()
    client.call(1, "RuntimeService/GetContainerEvents")
    await client.frame(Type.HEADERS)
    client.call(3, "RuntimeService/Status")
    assert await client.status() == "8"
    client.call(5, "RuntimeService/ListContainers")
    assert await client.status() == "0"
    client.writer.write(f.reset(1, f.Reason.CANCEL))


async def test_a_client_that_does_not_read_is_not_read(raw: Any, server: CriServer, monkeypatch: Any) -> None:
    monkeypatch.setattr("cricket.cri.connection.CHATTER", 1 << 30)
    client = await raw(window=f.MAX_WINDOW)
    client.writer.write(f.window_update(0, 1 << 30))
    client.reader._transport.pause_reading()  # type: ignore[attr-defined]  # what a stopped process does
    await until(lambda: server._served.connections)
    [mine] = server._served.connections
    flood = f.frame(Type.PING, 0, 0, bytes(8)) * 10_000
    for _ in range(100):
        client.writer.write(flood)
        await asyncio.sleep(0)
        if mine.paused:
            break
    await until(lambda: mine.paused)
    assert mine._transport is not None
    assert mine._transport.get_write_buffer_size() < 1 << 20
    client.reader._transport.resume_reading()  # type: ignore[attr-defined]
    async with asyncio.timeout(10):
        while mine.paused:
            await client.reader.read(1 << 16)


async def test_packed_requests_are_understood(client: Any) -> None:
    box = await client.sandbox()
    call = client.channel.unary_unary("/runtime.v1.RuntimeService/PodSandboxStatus")
    request = pb.PodSandboxStatusRequest(pod_sandbox_id=box).SerializeToString()
    answer = await call(request, compression=grpc.Compression.Gzip)
    assert pb.PodSandboxStatusResponse.FromString(answer).status.id == box


async def test_what_is_no_call_is_refused(raw: Any) -> None:
    client = await raw()
    client.call(1, "RuntimeService/Version", grpc_timeout="soon")
    assert await client.status() == "13"
    client.call(3, "RuntimeService/Version", content_type="text/html")
    _, _, payload = await client.frame(Type.HEADERS)
    assert dict(client.decoder.decode(payload))[":status"] == "415"
    assert b"gRPC" in (await client.frame(Type.DATA))[2]


async def reached(client: Any) -> None:
    """Call until the server answers: a call that meets the end of the last one fails."""
    call = client.channel.unary_unary("/runtime.v1.RuntimeService/Version")
    async with asyncio.timeout(10):
        while True:
            try:
                await call(b"", wait_for_ready=True)
                return
            except grpc.aio.AioRpcError as error:
                assert error.code() is grpc.StatusCode.UNAVAILABLE
                await asyncio.sleep(0.01)


async def test_a_client_finds_the_next_daemon(engine: FakeEngine, tmp_path: Path, connect: Any) -> None:
    path = str(tmp_path / "s")
    client = connect(path)
    for _ in range(3):
        server = CriServer(engine, FakeStreams(), path, registry=Registry())
        await server.start()
        await reached(client)
        raw = Raw(*await asyncio.open_unix_connection(path))
        raw.call(1, "RuntimeService/Version")
        assert await raw.status() == "0"
        await server.stop(0.1)
        _, _, payload = await raw.frame(Type.GOAWAY)
        assert payload == (1).to_bytes(4, "big") + bytes(4)
        assert await raw.reader.read() == b""
        raw.writer.close()
