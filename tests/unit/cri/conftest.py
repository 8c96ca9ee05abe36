"""A CRI server on the fake engine behind a real socket, and a client for it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import grpc
import pytest
from harness.raw_http2 import Raw

from cricket._proto.cri import api_pb2 as pb
from cricket._proto.cricket import side_pb2
from cricket.cri.fake import FakeEngine, FakeStreams
from cricket.cri.server import CriServer
from cricket.cri.side import SideService
from cricket.types.metrics import Registry

MODULES = {"RuntimeService": pb, "ImageService": pb, "Side": side_pb2}


class Client:
    """Calls RPCs by name, with the message classes that the descriptors name."""

    def __init__(self, path: str) -> None:
        self.channel = grpc.aio.insecure_channel(
            f"unix:{path}", options=[("grpc.max_receive_message_length", 32 << 20)]
        )
        self._methods = {
            method.name: (f"/{service.full_name}/{method.name}", module, method)
            for name, module in MODULES.items()
            for service in [module.DESCRIPTOR.services_by_name[name]]
            for method in service.methods
        }

    def start(self, name: str, request: Any = None) -> Any:
        """The call object; for a stream, iterate it. `request` may be raw bytes."""
        path, module, method = self._methods[name]
        if request is None:
            request = getattr(module, method.input_type.name)()
        data = request if isinstance(request, bytes) else request.SerializeToString()
        kind = self.channel.unary_stream if method.server_streaming else self.channel.unary_unary
        answer = getattr(module, method.output_type.name)
        return kind(path, response_deserializer=answer.FromString)(data)

    async def call(self, name: str, request: Any = None) -> Any:
        """The answer, or the list of answers."""
        call = self.start(name, request)
        if self._methods[name][2].server_streaming:
            return [answer async for answer in call]
        return await call

    async def refused(self, name: str, request: Any = None) -> tuple[str, str]:
        """Code and text of the error that the call must end with."""
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await self.call(name, request)
        return caught.value.code().name, caught.value.details() or ""

    async def sandbox(self, name: str = "pod", **config: Any) -> str:
        """Run one."""
        metadata = pb.PodSandboxMetadata(name=name, uid=f"uid-{name}", namespace="ns")
        request = pb.RunPodSandboxRequest(config=pb.PodSandboxConfig(metadata=metadata, **config))
        answer = await self.call("RunPodSandbox", request)
        return str(answer.pod_sandbox_id)

    async def container(self, sandbox_id: str, name: str = "c", *, start: bool = True, **config: Any) -> str:
        """Create (and start) one."""
        config.setdefault("image", pb.ImageSpec(image="busybox"))
        message = pb.ContainerConfig(metadata=pb.ContainerMetadata(name=name), **config)
        request = pb.CreateContainerRequest(pod_sandbox_id=sandbox_id, config=message)
        container_id = str((await self.call("CreateContainer", request)).container_id)
        if start:
            await self.call("StartContainer", pb.StartContainerRequest(container_id=container_id))
        return container_id


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine()


@pytest.fixture
def registry() -> Registry:
    return Registry()


@pytest.fixture
async def server(engine: FakeEngine, registry: Registry, tmp_path: Path) -> AsyncIterator[CriServer]:
    path = str(tmp_path / "run" / "cri.sock")
    server = CriServer(engine, FakeStreams(), path, side=SideService(), registry=registry)
    await server.start()
    yield server
    await server.stop(0.2)


@pytest.fixture
async def raw(server: CriServer) -> AsyncIterator[Callable[..., Any]]:
    """Makes clients that may do what no library does."""
    made: list[Raw] = []

    async def make(window: int = 65535, **settings: Any) -> Raw:
        made.append(Raw(*await asyncio.open_unix_connection(server.path), window, **settings))
        return made[-1]

    yield make
    for each in made:
        each.writer.close()


@pytest.fixture
async def connect() -> AsyncIterator[Callable[[str], Client]]:
    """Makes clients of servers that a test starts itself."""
    clients: list[Client] = []

    def make(path: str) -> Client:
        clients.append(Client(path))
        return clients[-1]

    yield make
    for client in clients:
        await client.channel.close()


@pytest.fixture
def client(server: CriServer, connect: Callable[[str], Client]) -> Client:
    return connect(server.path)
