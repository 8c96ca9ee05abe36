"""What clients can make the server hold or do, and what happens then (docs/rooms/cri.md)."""

from __future__ import annotations

import asyncio
import gc
import logging
import socket
import warnings
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import grpc
import pytest
from harness.raw_http2 import Raw

from cricket._proto.cri import api_pb2 as pb
from cricket.cri.calls import Calls
from cricket.cri.fake import FakeEngine, FakeStreams
from cricket.cri.server import MESSAGE_LIMIT, CriServer
from cricket.errors import CricketError
from cricket.types.metrics import Registry
from cricket.wire import http2_frames as f
from cricket.wire.http2_frames import Reason, Setting, Type

Make = Callable[..., Awaitable[Raw]]
STOP = pb.StopPodSandboxRequest(pod_sandbox_id="x").SerializeToString()
PULL = pb.PullImageRequest(image=pb.ImageSpec(image="busybox")).SerializeToString()
PING = f.frame(Type.PING, 0, 0, bytes(8))


async def until(condition: Callable[[], object]) -> None:
    """Wait for a condition, at most five seconds."""
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.005)


class Gate:
    """A verb that waits, and counts how often it began."""

    def __init__(self) -> None:
        self.began, self.open = 0, asyncio.Event()

    async def __call__(self, *args: Any) -> str:
        self.began += 1
        await self.open.wait()
        return ""


# --- requests ---------------------------------------------------------------------------------------------------


async def test_who_holds_most_unfinished_requests_loses_them(engine: FakeEngine, tmp_path: Path, connect: Any) -> None:
    server = CriServer(engine, FakeStreams(), str(tmp_path / "s"), request_limit=100_000, registry=Registry())
    await server.start()
    hoarder = Raw(*await asyncio.open_unix_connection(server.path))
    modest = Raw(*await asyncio.open_unix_connection(server.path))
    modest.writer.write(modest.headers(1, "RuntimeService/Version") + f.frame(Type.DATA, 0, 1, b"\0\0\0\0\0"))
    await until(lambda: server._served.held == 5)
    for stream in range(1, 21, 2):
        body = f.frame(Type.DATA, 0, stream, bytes(16384)) * 5
        hoarder.writer.write(hoarder.headers(stream, "RuntimeService/RunPodSandbox") + body)
    refused = {(await hoarder.outcome())[:2] for _ in range(4)}
    assert {status for _, status in refused} == {"8"} and len(refused) == 4
    assert server._served.held <= 400_000
    modest.writer.write(f.frame(Type.DATA, f.END_STREAM, 1))
    assert await modest.status() == "0"
    hoarder.writer.close()
    await until(lambda: server._served.held == 0)
    modest.writer.close()
    await server.stop(0.1)


async def test_a_request_that_does_not_end_is_refused(raw: Make, monkeypatch: Any) -> None:
    monkeypatch.setattr("cricket.cri.connection.PATIENCE", 0.02)
    client = await raw()
    client.writer.write(client.headers(1, "RuntimeService/Version"))
    assert (await client.outcome())[:2] == (1, "4")
    client.call(3, "RuntimeService/Version")
    assert (await client.outcome())[:2] == (3, "0")


@pytest.mark.parametrize("words", [b"", b"PRI * HTTP", f.PREFACE])
async def test_who_says_nothing_is_cut_off(server: CriServer, monkeypatch: Any, words: bytes) -> None:
    monkeypatch.setattr("cricket.cri.connection.PATIENCE", 0.02)
    reader, writer = await asyncio.open_unix_connection(server.path)
    writer.write(words)
    async with asyncio.timeout(5):
        await reader.read()
    writer.close()
    await until(lambda: not server._served.connections)


async def test_messages_of_exactly_the_limit(client: Any) -> None:
    call = client.channel.unary_unary("/runtime.v1.RuntimeService/Version")
    room = MESSAGE_LIMIT - len(pb.VersionRequest(version="x" * MESSAGE_LIMIT).SerializeToString()) + MESSAGE_LIMIT
    request = pb.VersionRequest(version="x" * room).SerializeToString()
    assert len(request) == MESSAGE_LIMIT
    assert pb.VersionResponse.FromString(await call(request)).runtime_name == "cricket"
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call(pb.VersionRequest(version="x" * (room + 1)).SerializeToString())
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_a_large_answer_passes_small_windows(client: Any, raw: Make, engine: FakeEngine) -> None:
    box = await client.sandbox()
    for i in range(9):
        await client.container(box, f"c{i}", start=False, annotations={"k": "x" * (1 << 20)})
    assert len((await client.call("ListContainers")).containers) == 9
    small = await raw(window=3000)
    small.call(1, "RuntimeService/ListContainers")
    got = b""
    while len(got) < 5 or len(got) - 5 < int.from_bytes(got[1:5], "big"):
        _, stream, payload = await small.frame(Type.DATA)
        got += payload
        update = f.window_update(0, len(payload)) + f.window_update(stream, len(payload))
        small.writer.write(update)
    assert await small.status() == "0"
    assert len(pb.ListContainersResponse.FromString(got[5:]).containers) == 9


# --- calls ------------------------------------------------------------------------------------------------------


async def test_verbs_without_callers_count_as_calls(
    raw: Make, server: CriServer, engine: FakeEngine, monkeypatch: Any
) -> None:
    monkeypatch.setattr("cricket.cri.served.MAX_CALLS", 3)
    gate = Gate()
    engine.sandboxes.stop = gate  # type: ignore[method-assign]  # a verb that waits
    client = await raw()
    for i in range(3):
        client.call(2 * i + 1, "RuntimeService/StopPodSandbox", STOP)
        await until(lambda i=i: gate.began == i + 1)  # type: ignore[misc]  # a default of the loop's variable
        client.writer.write(f.reset(2 * i + 1, Reason.CANCEL))
    client.call(7, "RuntimeService/StopPodSandbox", STOP)
    assert (await client.outcome())[:2] == (7, "8")
    client.call(9, "RuntimeService/ListPodSandbox")
    assert (await client.outcome())[:2] == (9, "0")
    assert gate.began == 3 and len(server._served.tasks) == 3
    gate.open.set()
    await until(lambda: not server._served.tasks)
    client.call(11, "RuntimeService/StopPodSandbox", STOP)
    assert (await client.outcome())[:2] == (11, "0") and server._served.held == 0


async def test_what_is_cancelled_at_once_is_not_begun(raw: Make, server: CriServer, engine: FakeEngine) -> None:
    gate = Gate()
    engine.sandboxes.stop = gate  # type: ignore[method-assign]  # a verb that waits
    client = await raw()
    for stream in range(1, 201, 2):
        client.call(stream, "RuntimeService/StopPodSandbox", STOP)
        client.writer.write(f.reset(stream, Reason.CANCEL))
    client.call(201, "RuntimeService/Version")
    assert (await client.outcome())[:2] == (201, "0")
    assert gate.began == 0 and not server._served.tasks and server._served.held == 0


@pytest.mark.parametrize("name", ["StopPodSandbox", "GetContainerEvents"])
async def test_what_is_too_late_is_not_begun(raw: Make, engine: FakeEngine, name: str) -> None:
    gate = Gate()
    engine.sandboxes.stop = gate  # type: ignore[method-assign]  # a verb that waits
    client = await raw()
    client.call(1, f"RuntimeService/{name}", STOP if name.startswith("Stop") else b"", grpc_timeout="0n")
    assert (await client.outcome())[:2] == (1, "4") and gate.began == 0 and not engine.node._readers
    client.call(3, "RuntimeService/Status", grpc_timeout="99999999H")
    assert (await client.outcome())[:2] == (3, "0")


async def test_a_flood_of_questions_leaves_others_their_turn(
    raw: Make, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = 0
    ask = engine.sandboxes.list

    def counting() -> Any:
        nonlocal asked
        asked += 1
        return ask()

    monkeypatch.setattr(engine.sandboxes, "list", counting)
    flood, other = await raw(window=1 << 20), await raw()
    for stream in range(1, 1201, 2):
        flood.call(stream, "RuntimeService/ListPodSandbox")
    other.call(1, "RuntimeService/Version")
    assert (await other.outcome())[:2] == (1, "0")
    assert asked < 300
    got = [await flood.outcome() for _ in range(600)]
    assert [stream for stream, _, _ in got] == list(range(1, 1201, 2)) and {status for _, status, _ in got} == {"0"}
    assert asked == 600


# --- answers ----------------------------------------------------------------------------------------------------


async def test_answers_that_are_not_read_hold_back_the_next_calls(
    client: Any, raw: Make, server: CriServer, monkeypatch: Any
) -> None:
    monkeypatch.setattr("cricket.cri.calls.QUEUE_LIMIT", 5000)
    await client.sandbox(annotations={"k": "x" * 1000})
    deaf = await raw(window=0)
    for stream in range(1, 101, 2):
        deaf.call(stream, "RuntimeService/ListPodSandbox")
    deaf.writer.write(PING)
    await deaf.frame(Type.PING)
    [mine] = [c for c in server._served.connections if c.queued]
    assert 5000 < mine.queued < 7000
    # The bytes that wait are the same ones.
    one, two, *_ = mine._http2._streams.values()
    assert one.parts[-1] is two.parts[-1]
    deaf.writer.write(f.settings({Setting.INITIAL_WINDOW_SIZE: 1 << 20}) + f.window_update(0, 1 << 20))
    got = [await deaf.outcome() for _ in range(50)]
    assert sorted(stream for stream, _, _ in got) == list(range(1, 101, 2)) and {s for _, s, _ in got} == {"0"}
    assert mine.queued == 0 and mine.idle


async def test_calls_behind_answers_that_are_never_read_are_refused(client: Any, raw: Make, monkeypatch: Any) -> None:
    monkeypatch.setattr("cricket.cri.calls.QUEUE_LIMIT", 500)
    monkeypatch.setattr("cricket.cri.connection.PATIENCE", 0.02)
    await client.sandbox(annotations={"k": "x" * 1000})
    deaf = await raw(window=0)
    deaf.call(1, "RuntimeService/ListPodSandbox")
    deaf.call(3, "RuntimeService/Version")
    assert (await deaf.outcome())[:2] == (3, "8")
    deaf.writer.write(f.settings({Setting.INITIAL_WINDOW_SIZE: 1 << 20}))
    assert (await deaf.outcome())[:2] == (1, "0")
    deaf.call(5, "RuntimeService/Version")
    assert (await deaf.outcome())[:2] == (5, "0")


async def test_who_lets_most_answers_wait_is_cut_off_when_it_is_too_much(
    client: Any, raw: Make, server: CriServer, monkeypatch: Any
) -> None:
    monkeypatch.setattr("cricket.cri.calls.QUEUE_LIMIT", 500)
    monkeypatch.setattr("cricket.cri.connection.QUEUE_LIMIT", 500)
    monkeypatch.setattr("cricket.cri.served.MAX_QUEUED", 4000)
    await client.sandbox(annotations={"k": "x" * 1000})
    small, deaf = await raw(window=0), await raw(window=0)
    small.call(1, "RuntimeService/ListPodSandbox")
    await until(lambda: any(c.queued for c in server._served.connections))
    monkeypatch.setattr("cricket.cri.calls.QUEUE_LIMIT", 1 << 20)
    for stream in (1, 3, 5):
        deaf.call(stream, "RuntimeService/ListPodSandbox")
    assert await deaf.farewell() is Reason.ENHANCE_YOUR_CALM
    small.writer.write(f.settings({Setting.INITIAL_WINDOW_SIZE: 1 << 20}))
    assert await small.status() == "0"


@pytest.mark.parametrize("text", ["三" * 5000, "x" * 5000, "%" * 3000])
async def test_any_error_fits_a_clients_limits(client: Any, raw: Make, engine: FakeEngine, text: str) -> None:
    async def pull(*args: Any) -> str:
        raise CricketError(text)

    engine.images.pull = pull  # type: ignore[method-assign]  # fails on purpose
    code, words = await client.refused("PullImage", PULL)
    assert code == "UNKNOWN" and words[-1] == "…" and text.startswith(words[:-1]) and len(words) > 400
    narrow = await raw(settings={Setting.MAX_HEADER_LIST_SIZE: 400})
    narrow.call(1, "ImageService/PullImage", PULL)
    _, status, words = await narrow.outcome()
    assert status == "2" and len(words) <= 400 - 3 * 32


async def test_an_unknown_method_of_any_length_is_told(client: Any) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await client.channel.unary_unary("/" + "x" * 7000)(b"")
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


# --- connections ------------------------------------------------------------------------------------------------


async def test_the_one_that_was_silent_longest_makes_room(raw: Make, server: CriServer, monkeypatch: Any) -> None:
    monkeypatch.setattr("cricket.cri.served.MAX_CONNECTIONS", 3)
    clients = [await raw() for _ in range(3)]
    for client in clients:
        client.call(1, "RuntimeService/Version")
        assert await client.status() == "0"
    clients[0].call(3, "RuntimeService/GetContainerEvents")
    await clients[0].frame(Type.HEADERS)
    late = await raw()
    late.call(1, "RuntimeService/Version")
    assert await late.status() == "0"
    assert await clients[1].farewell() is Reason.NO_ERROR
    for client in (clients[2], late):
        client.call(5, "RuntimeService/GetContainerEvents")
        await client.frame(Type.HEADERS)
    refused = await raw()
    async with asyncio.timeout(5):
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await refused.reader.readexactly(1)
    assert len(server._served.connections) == 3


async def test_frames_that_bring_nothing_are_limited(raw: Make, monkeypatch: Any) -> None:
    monkeypatch.setattr("cricket.cri.connection.CHATTER", 100)
    client = await raw()
    for stream in range(1, 401, 2):
        client.call(stream, "RuntimeService/Version")
        client.writer.write(PING + f.window_update(0, 100))
        assert await client.status() == "0"
    client.writer.write(PING * 101)
    assert await client.farewell() is Reason.ENHANCE_YOUR_CALM


async def test_pings_now_and_then_are_no_flood(raw: Make, monkeypatch: Any) -> None:
    monkeypatch.setattr("cricket.cri.connection.CHATTER", 10)
    monkeypatch.setattr("cricket.cri.connection.CHATTER_PERIOD", 0)
    client = await raw()
    for _ in range(20):
        client.writer.write(PING * 11)
        for _ in range(11):
            await client.frame(Type.PING)
    client.call(1, "RuntimeService/Version")
    assert await client.status() == "0"


async def test_who_is_cut_off_and_does_not_read_goes_nevertheless(
    raw: Make, server: CriServer, monkeypatch: Any
) -> None:
    monkeypatch.setattr("cricket.cri.connection._FAREWELL", 0.02)
    monkeypatch.setattr("cricket.cri.connection.CHATTER", 1 << 30)
    client = await raw()
    client.reader._transport.pause_reading()  # type: ignore[attr-defined]  # what a stopped process does
    await until(lambda: server._served.connections)
    [mine] = server._served.connections
    while not mine.paused:
        client.writer.write(PING * 1000)
        await asyncio.sleep(0)
    mine.cut_off("a test")
    await until(lambda: not server._served.connections)


# --- faults of ours ---------------------------------------------------------------------------------------------


async def test_a_fault_in_a_callback_ends_the_connection_and_is_logged_once(
    raw: Make, server: CriServer, monkeypatch: Any, caplog: pytest.LogCaptureFixture
) -> None:
    client = await raw()
    client.call(1, "RuntimeService/GetContainerEvents")
    await client.frame(Type.HEADERS)

    def fail(*args: Any) -> None:
        raise KeyError("a bug")

    monkeypatch.setattr(Calls, "on_event", fail)
    client.call(3, "RuntimeService/Version")
    async with asyncio.timeout(5):
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await client.frame(Type.GOAWAY)
    await until(lambda: not server._served.connections and not server._served.tasks)
    assert len([r for r in caplog.records if r.levelno >= logging.ERROR]) == 1


@pytest.mark.parametrize("name", ["Version", "Status", "GetContainerEvents"])
async def test_a_fault_in_a_call_is_its_answer(
    raw: Make, server: CriServer, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    path = f"/runtime.v1.RuntimeService/{name}".encode()

    def fail(*args: Any) -> Any:
        raise KeyError("a bug")

    server._served.routes[path] = server._served.routes[path]._replace(serve=fail)  # type: ignore[index]  # a test
    client = await raw()
    client.call(1, f"RuntimeService/{name}")
    stream, status, text = await client.outcome()
    assert (stream, status) == (1, "13") and "incident" in text
    assert len([r for r in caplog.records if r.levelno >= logging.ERROR]) == 1


# --- the end ----------------------------------------------------------------------------------------------------


async def test_a_stop_leaves_no_socket_behind_whenever_clients_come(engine: FakeEngine, tmp_path: Path) -> None:
    gc.collect()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for turns in range(6):
            server = CriServer(engine, FakeStreams(), str(tmp_path / "s"), registry=Registry())
            await server.start()
            clients = [socket.socket(socket.AF_UNIX) for _ in range(3)]
            for client in clients:
                client.setblocking(False)
                client.connect(server.path)
            for _ in range(turns):
                await asyncio.sleep(0)
            await server.stop(0.1)
            assert not server._served.connections
            for client in clients:
                client.close()
        # What is collected now would warn.
        del server
        gc.collect()
    assert [str(w.message) for w in caught if issubclass(w.category, ResourceWarning)] == []


async def test_a_stop_answers_what_it_cancels(engine: FakeEngine, tmp_path: Path) -> None:
    server = CriServer(engine, FakeStreams(), str(tmp_path / "s"), registry=Registry())
    await server.start()
    gate = Gate()
    engine.images.pull = gate  # type: ignore[method-assign]  # a call that waits
    engine.sandboxes.stop = gate  # type: ignore[method-assign]  # a verb that waits
    client = Raw(*await asyncio.open_unix_connection(server.path))
    client.call(1, "ImageService/PullImage", PULL)
    client.call(3, "RuntimeService/StopPodSandbox", STOP)
    client.call(5, "RuntimeService/GetContainerEvents")
    await until(lambda: gate.began == 2 and engine.node._readers)
    await asyncio.gather(server.stop(0.01), server.stop(0.01))
    assert sorted([(await client.outcome())[:2] for _ in range(3)]) == [(1, "14"), (3, "14"), (5, "14")]
    assert await client.reader.read() == b""
    client.writer.close()
    assert not server._served.tasks and server._served.held == 0


async def test_no_task_is_left_however_calls_end(raw: Make, server: CriServer, engine: FakeEngine) -> None:
    gate = Gate()
    engine.sandboxes.stop = gate  # type: ignore[method-assign]  # a verb that waits
    engine.images.pull = gate  # type: ignore[method-assign]  # a call that waits
    before = len(asyncio.all_tasks())
    for round_ in range(3):
        client = await raw()
        for stream, (name, body, limit) in enumerate(
            [
                ("RuntimeService/StopPodSandbox", STOP, "10m"),
                ("RuntimeService/StopPodSandbox", STOP, "1H"),
                ("ImageService/PullImage", PULL, "10m"),
                ("ImageService/PullImage", PULL, "1H"),
                ("RuntimeService/GetContainerEvents", b"", "10m"),
                ("RuntimeService/GetContainerEvents", b"", "1H"),
                ("RuntimeService/Status", b"", "1H"),
            ]
        ):
            client.call(2 * stream + 1, name, body, grpc_timeout=limit)
        ended = {(await client.outcome())[:2] for _ in range(4)}
        assert ended == {(1, "4"), (5, "4"), (9, "4"), (13, "0")}
        client.writer.write(f.reset(7, Reason.CANCEL))
        client.writer.transport.abort()
        await until(lambda round_=round_: len(server._served.tasks) == 2 * (round_ + 1))  # type: ignore[misc]  # a default
    gate.open.set()
    await until(lambda: not server._served.tasks and not server._served.connections)
    assert len(asyncio.all_tasks()) == before and server._served.held == 0 and not engine.node._readers
