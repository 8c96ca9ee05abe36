"""Errors, hostile requests, and what the end of a caller means."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from pathlib import Path
from typing import Any

import grpc
import pytest

from cricket._proto.cri import api_pb2 as pb
from cricket._proto.cricket import side_pb2
from cricket.cri.fake import FakeEngine, FakeStreams
from cricket.cri.server import CriServer
from cricket.errors import Code, CricketError, NotFound, RegistryUnavailable
from cricket.types.metrics import Registry
from cricket.types.stage import stage

GARBAGE = b"\xff\xff\xff\xff\x07garbage"
META = pb.PodSandboxMetadata(name="p", uid="u", namespace="n")
IMAGE = pb.ImageSpec(image="busybox")


class Gate:
    """Stands in for a verb: says when it began, and waits until it is opened."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.began, self.open, self.ended = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self.cancelled, self._error = False, error

    async def __call__(self, *args: Any) -> str:
        self.began.set()
        try:
            with stage("waiting at the gate", "gate-1"):
                await self.open.wait()
        except asyncio.CancelledError:
            self.cancelled = True
            raise
        finally:
            self.ended.set()
        if self._error is not None:
            raise self._error
        return "an-id"


def raising(error: BaseException) -> Any:
    async def verb(*args: Any) -> None:
        raise error

    return verb


@pytest.mark.parametrize("name", ["Version", "RunPodSandbox", "ListContainers", "PullImage", "Status"])
async def test_garbage_is_an_invalid_argument(client: Any, name: str) -> None:
    code, text = await client.refused(name, GARBAGE)
    assert code == "INVALID_ARGUMENT" and name in text and "Traceback" not in text


async def test_garbage_on_a_stream(client: Any) -> None:
    assert (await client.refused("StreamContainers", GARBAGE))[0] == "INVALID_ARGUMENT"


async def test_a_huge_request_is_refused_and_the_server_lives(client: Any) -> None:
    code, _ = await client.refused("Version", pb.VersionRequest(version="x" * (17 << 20)))
    assert code == "RESOURCE_EXHAUSTED"
    assert (await client.call("Version")).runtime_name == "cricket"


async def test_what_is_no_grpc_at_all_is_dropped(client: Any, server: CriServer) -> None:
    for nonsense in (b"", b"GET / HTTP/1.1\r\n\r\n", b"\x00" * 4096):
        reader, writer = await asyncio.open_unix_connection(server.path)
        writer.write(nonsense)
        writer.write_eof()
        async with asyncio.timeout(5):
            with contextlib.suppress(ConnectionResetError):
                await reader.read()
        writer.close()
    assert (await client.call("Version")).runtime_name == "cricket"


async def test_an_answer_that_is_too_large_is_refused_with_advice(client: Any, engine: FakeEngine) -> None:
    box = await client.sandbox()
    for i in range(18):
        await client.container(box, f"c{i}", start=False, annotations={"k": "x" * (1 << 20)})
    code, text = await client.refused("ListContainers")
    assert code == "RESOURCE_EXHAUSTED" and "streaming" in text
    batches = await client.call("StreamContainers")
    assert len(batches) > 1
    assert sorted(c.id for b in batches for c in b.containers) == sorted(engine.containers.records)


async def test_an_unknown_method_is_unimplemented(client: Any) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await client.channel.unary_unary("/runtime.v1.RuntimeService/Nonsense")(b"")
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


@pytest.mark.parametrize(
    ("name", "request_", "field"),
    [
        ("RunPodSandbox", pb.RunPodSandboxRequest(), "config"),
        ("RunPodSandbox", pb.RunPodSandboxRequest(config=pb.PodSandboxConfig()), "config.metadata"),
        (
            "RunPodSandbox",
            pb.RunPodSandboxRequest(config=pb.PodSandboxConfig(metadata=pb.PodSandboxMetadata(uid="u"))),
            "config.metadata.name",
        ),
        (
            "RunPodSandbox",
            pb.RunPodSandboxRequest(config=pb.PodSandboxConfig(metadata=pb.PodSandboxMetadata(name="n"))),
            "config.metadata.uid",
        ),
        (
            "RunPodSandbox",
            pb.RunPodSandboxRequest(
                config=pb.PodSandboxConfig(metadata=META, port_mappings=[pb.PortMapping(host_port=70000)])
            ),
            "config.port_mappings.host_port",
        ),
        ("CreateContainer", pb.CreateContainerRequest(), "pod_sandbox_id"),
        ("CreateContainer", pb.CreateContainerRequest(pod_sandbox_id="x"), "config"),
        (
            "CreateContainer",
            pb.CreateContainerRequest(pod_sandbox_id="x", config=pb.ContainerConfig(image=IMAGE)),
            "config.metadata",
        ),
        (
            "CreateContainer",
            pb.CreateContainerRequest(
                pod_sandbox_id="x", config=pb.ContainerConfig(metadata=pb.ContainerMetadata(name="c"))
            ),
            "config.image.image",
        ),
        ("StopPodSandbox", pb.StopPodSandboxRequest(), "pod_sandbox_id"),
        ("StartContainer", pb.StartContainerRequest(), "container_id"),
        ("ContainerStatus", pb.ContainerStatusRequest(), "container_id"),
        ("UpdateContainerResources", pb.UpdateContainerResourcesRequest(container_id="x"), "linux"),
        ("CheckpointContainer", pb.CheckpointContainerRequest(container_id="x", location="rel"), "location"),
        ("ExecSync", pb.ExecSyncRequest(container_id="x"), "cmd"),
        ("ExecSync", pb.ExecSyncRequest(container_id="x", cmd=["a\0b"]), "cmd"),
        ("ExecSync", pb.ExecSyncRequest(container_id="x", cmd=["a"], timeout=-1), "timeout"),
        ("Exec", pb.ExecRequest(container_id="x", cmd=["a"]), "stdout"),
        ("Attach", pb.AttachRequest(container_id="x", tty=True, stdout=True, stderr=True), "stderr"),
        ("PullImage", pb.PullImageRequest(), "image.image"),
        ("ImageStatus", pb.ImageStatusRequest(), "image.image"),
        ("RemoveImage", pb.RemoveImageRequest(), "image.image"),
        ("LoadImage", side_pb2.LoadImageRequest(path="relative"), "path"),
        ("SaveImage", side_pb2.SaveImageRequest(path="/x"), "names"),
        ("SaveImage", side_pb2.SaveImageRequest(path="/x", format="zip"), "format"),
    ],
)
async def test_missing_and_wrong_fields_are_named(client: Any, name: str, request_: Any, field: str) -> None:
    code, text = await client.refused(name, request_)
    assert code == "INVALID_ARGUMENT" and f"({field}" in text, text


async def test_a_bad_port_to_forward(client: Any) -> None:
    box = await client.sandbox()
    code, _ = await client.refused("PortForward", pb.PortForwardRequest(pod_sandbox_id=box, port=[0]))
    assert code == "INVALID_ARGUMENT"


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (NotFound("gone", where="x"), "NOT_FOUND", "gone (x)"),
        (RegistryUnavailable("no answer", where="r.example"), "UNKNOWN", "RegistryUnavailable: no answer (r.example)"),
        (TimeoutError(), "DEADLINE_EXCEEDED", "PullImage took too long inside the runtime"),
    ],
)
async def test_errors_become_codes(client: Any, engine: FakeEngine, error: BaseException, code: str, text: str) -> None:
    engine.images.pull = raising(error)  # type: ignore[method-assign]  # the engine fails on purpose
    assert await client.refused("PullImage", pb.PullImageRequest(image=IMAGE)) == (code, text)


async def test_a_bug_shows_the_client_a_number_and_the_log_a_traceback(
    client: Any, engine: FakeEngine, caplog: pytest.LogCaptureFixture
) -> None:
    engine.images.pull = raising(KeyError("secret detail"))  # type: ignore[method-assign]  # fails on purpose
    code, text = await client.refused("PullImage", pb.PullImageRequest(image=IMAGE))
    assert code == "INTERNAL" and "secret" not in text
    number = text.rsplit(" ", 1)[1]
    [record] = [r for r in caplog.records if number in r.getMessage() and r.exc_info]
    assert record.levelno == logging.ERROR


async def test_a_long_message_is_cut(client: Any, engine: FakeEngine) -> None:
    engine.images.pull = raising(CricketError("x" * 100_000))  # type: ignore[method-assign]  # fails on purpose
    _, text = await client.refused("PullImage", pb.PullImageRequest(image=IMAGE))
    assert len(text) == 2000 and text.endswith("…")


async def test_a_message_with_line_breaks_and_other_alphabets_arrives(client: Any, engine: FakeEngine) -> None:
    engine.images.pull = raising(CricketError("ligne\nдва 三"))  # type: ignore[method-assign]  # fails on purpose
    assert await client.refused("PullImage", pb.PullImageRequest(image=IMAGE)) == ("UNKNOWN", "ligne\nдва 三")


async def test_an_inner_cancellation_is_an_answer(client: Any, engine: FakeEngine) -> None:
    engine.images.pull = raising(asyncio.CancelledError())  # type: ignore[method-assign]  # fails on purpose
    assert (await client.refused("PullImage", pb.PullImageRequest(image=IMAGE)))[0] == "CANCELLED"


async def test_a_verb_survives_its_caller_and_why_shows_it(
    client: Any, engine: FakeEngine, server: CriServer, registry: Registry
) -> None:
    gate = Gate()
    engine.sandboxes.run = gate  # type: ignore[method-assign]  # a verb that waits
    metadata = pb.PodSandboxMetadata(name="deserted", uid="u", namespace="n")
    call = client.start("RunPodSandbox", pb.RunPodSandboxRequest(config=pb.PodSandboxConfig(metadata=metadata)))
    await gate.began.wait()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    await until(lambda: 'abandoned_total{method="RunPodSandbox"} 1' in registry.render())
    for prefix in ("n/deserted", "gate-", ""):
        [operation] = (await client.call("Why", side_pb2.WhyRequest(id=prefix))).operations
        assert operation.method == "RunPodSandbox" and operation.running
        assert [(s.name, s.running) for s in operation.stages] == [("waiting at the gate", True)]
    assert len(server._served.tasks) == 1 and not gate.cancelled
    gate.open.set()
    await gate.ended.wait()
    await until(lambda: len(server._served.tasks) == 0)
    assert not gate.cancelled
    [operation] = (await client.call("Why", side_pb2.WhyRequest(id="n/deserted", finished=True))).operations
    assert operation.outcome == "ok" and not operation.running


async def test_a_verb_survives_the_deadline_of_its_caller(client: Any, engine: FakeEngine) -> None:
    gate = Gate()
    engine.sandboxes.stop = gate  # type: ignore[method-assign]  # a verb that waits
    stop = client.channel.unary_unary("/runtime.v1.RuntimeService/StopPodSandbox")
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stop(pb.StopPodSandboxRequest(pod_sandbox_id="x").SerializeToString(), timeout=0.2)
    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert gate.began.is_set() and not gate.ended.is_set()
    gate.open.set()
    await gate.ended.wait()
    assert not gate.cancelled


@pytest.mark.parametrize("name", ["PullImage", "ExecSync"])
async def test_a_pull_and_an_exec_end_with_their_caller(client: Any, engine: FakeEngine, name: str) -> None:
    gate = Gate()
    engine.images.pull = gate  # type: ignore[method-assign]  # a verb that waits
    engine.executor.exec_sync = gate  # type: ignore[method-assign]  # a verb that waits
    request = (
        pb.PullImageRequest(image=IMAGE) if name == "PullImage" else pb.ExecSyncRequest(container_id="x", cmd=["y"])
    )
    call = client.start(name, request)
    await gate.began.wait()
    call.cancel()
    await gate.ended.wait()
    assert gate.cancelled


async def test_shutdown_ends_streams_and_verbs(engine: FakeEngine, tmp_path: Path, connect: Any) -> None:
    server = CriServer(engine, FakeStreams(), str(tmp_path / "s"), registry=Registry())
    await server.start()
    client = connect(server.path)
    gate = Gate()
    engine.sandboxes.run = gate  # type: ignore[method-assign]  # a verb that waits
    events = client.start("GetContainerEvents")
    reading = asyncio.ensure_future(events.read())
    run = client.start("RunPodSandbox", pb.RunPodSandboxRequest(config=pb.PodSandboxConfig(metadata=META)))
    await gate.began.wait()
    await until(lambda: bool(engine.node._readers))
    await server.stop(0.1)
    assert gate.cancelled
    for call in (reading, run):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call
        assert caught.value.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED)
    assert not (tmp_path / "s").exists()
    await server.stop()


async def test_calls_are_counted_and_logged(client: Any, registry: Registry, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    await client.sandbox("logged")
    await client.call("ListPodSandbox")
    await client.refused("StartContainer", pb.StartContainerRequest(container_id="none"))
    lines = registry.render().splitlines()
    assert 'cricket_operations_total{method="RunPodSandbox"} 1' in lines
    assert 'cricket_operation_errors_total{method="StartContainer",code="NOT_FOUND"} 1' in lines
    assert 'cricket_operation_seconds_count{method="ListPodSandbox"} 1' in lines
    assert 'cricket_operations_running{method="RunPodSandbox"} 0' in lines
    logged = [r.getMessage() for r in caplog.records if r.name == "cricket.rpc"]
    assert logged[0].startswith("RunPodSandbox ns/logged: OK in ")
    assert not [line for line in logged if line.startswith("ListPodSandbox")]
    assert logged[1].startswith("StartContainer none: NOT_FOUND in ")
    record = next(r for r in caplog.records if r.name == "cricket.rpc")
    assert record.method == "RunPodSandbox" and record.code == Code.OK.name  # type: ignore[attr-defined]  # extras


async def until(condition: Any) -> None:
    """Wait for a condition, at most five seconds."""
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.005)
