"""The native engine: the verbs behind the Protocols of `cri` and `streaming`. Nothing is decided here."""

from __future__ import annotations

import socket
from collections.abc import Mapping, Sequence

import msgspec

from cricket.lifecycle import (
    attach_start,
    container_checkpoint,
    container_create,
    container_log,
    container_remove,
    container_start,
    container_stop,
    container_update,
    exec_start,
    exec_sync,
    port_forward,
    sandbox_remove,
    sandbox_resources,
    sandbox_run,
    sandbox_stop,
)
from cricket.lifecycle.image_service import NativeImages
from cricket.lifecycle.node import NativeNode
from cricket.lifecycle.parts import Parts
from cricket.lifecycle.stats import StatsReader
from cricket.types.container import Container, ContainerConfig
from cricket.types.resources import Resources
from cricket.types.sandbox import Sandbox, SandboxConfig
from cricket.types.stats import ContainerUsage, SandboxUsage
from cricket.types.streams import AttachRequest, ExecRequest, ExecResult, Process


class NativeSandboxes:
    """The `Sandboxes` part."""

    def __init__(self, parts: Parts, stats: StatsReader) -> None:
        self._e, self._stats = parts, stats

    async def run(self, config: SandboxConfig, handler: str) -> str:
        """See sandbox_run.py."""
        return await sandbox_run.run(self._e, config, handler)

    async def stop(self, sandbox_id: str) -> None:
        """See sandbox_stop.py."""
        await sandbox_stop.stop(self._e, sandbox_id)

    async def remove(self, sandbox_id: str) -> None:
        """See sandbox_remove.py."""
        await sandbox_remove.remove(self._e, sandbox_id)

    def get(self, sandbox_id: str) -> Sandbox:
        """From memory."""
        return self._e.store.sandbox(sandbox_id)

    def list(self) -> Sequence[Sandbox]:
        """From memory."""
        return list(self._e.store.sandboxes.values())

    async def update_resources(self, sandbox_id: str, overhead: Resources | None, resources: Resources | None) -> None:
        """See sandbox_resources.py."""
        await sandbox_resources.update(self._e, sandbox_id, overhead, resources)

    async def stats(self, sandbox_ids: Sequence[str], *, full: bool = False) -> Sequence[SandboxUsage]:
        """See stats.py."""
        store = self._e.store
        boxes = [(store.sandboxes[i], store.members(i)) for i in sandbox_ids if i in store.sandboxes]
        return await self._stats.sandboxes(boxes, full=full)

    def info(self, sandbox_id: str) -> dict[str, str]:
        """The record, and where the sandbox's things are."""
        box = self._e.store.sandbox(sandbox_id)
        info = {"pid": box.init_pid, "netns": box.netns, "directory": self._e.layout.sandbox(box.id)}
        return {"info": _json({**info, "record": msgspec.to_builtins(box)})}


class NativeContainers:
    """The `Containers` part."""

    def __init__(self, parts: Parts, stats: StatsReader) -> None:
        self._e, self._stats = parts, stats

    async def create(self, sandbox_id: str, config: ContainerConfig, sandbox_config: SandboxConfig | None) -> str:
        """See container_create.py."""
        return await container_create.create(self._e, sandbox_id, config, sandbox_config)

    async def start(self, container_id: str) -> None:
        """See container_start.py."""
        await container_start.start(self._e, container_id)

    async def stop(self, container_id: str, timeout: float) -> None:
        """See container_stop.py."""
        await container_stop.stop(self._e, container_id, timeout)

    async def remove(self, container_id: str) -> None:
        """See container_remove.py."""
        await container_remove.remove(self._e, container_id)

    def get(self, container_id: str) -> Container:
        """From memory."""
        return self._e.store.container(container_id)

    def list(self) -> Sequence[Container]:
        """From memory."""
        return list(self._e.store.containers.values())

    async def update_resources(self, container_id: str, resources: Resources, annotations: Mapping[str, str]) -> None:
        """See container_update.py."""
        await container_update.update(self._e, container_id, resources, annotations)

    async def reopen_log(self, container_id: str) -> None:
        """See container_log.py."""
        await container_log.reopen(self._e, container_id)

    async def checkpoint(self, container_id: str, location: str, timeout: float) -> None:
        """See container_checkpoint.py."""
        await container_checkpoint.checkpoint(self._e, container_id, location, timeout)

    async def stats(self, container_ids: Sequence[str]) -> Sequence[ContainerUsage]:
        """See stats.py."""
        records = [self._e.store.containers[i] for i in container_ids if i in self._e.store.containers]
        return await self._stats.containers(records)

    def info(self, container_id: str) -> dict[str, str]:
        """pid, sandbox, the runtime spec and the record, under the name "info" as crictl expects it."""
        container = self._e.store.container(container_id)
        bundle = self._e.layout.bundle(container.id)
        try:
            with open(f"{bundle}/config.json", "rb") as f:
                spec = msgspec.Raw(f.read())
        except OSError:
            spec = msgspec.Raw(b"null")
        info = {
            "sandboxID": container.sandbox_id,
            "pid": container.pid,
            "bundle": bundle,
            "runtimeSpec": spec,
            "record": msgspec.to_builtins(container),
        }
        return {"info": _json(info)}


class NativeExecutor:
    """The `Executor` part, and the `Backend` of the streaming server."""

    def __init__(self, parts: Parts) -> None:
        self._e = parts

    async def exec_sync(self, container_id: str, cmd: Sequence[str], timeout: float) -> ExecResult:
        """See exec_sync.py."""
        return await exec_sync.exec_sync(self._e, container_id, cmd, timeout)

    async def exec(self, request: ExecRequest) -> Process:
        """See exec_start.py."""
        return await exec_start.start(self._e, request)

    async def attach(self, request: AttachRequest) -> Process:
        """See attach_start.py."""
        return await attach_start.start(self._e, request)

    async def connect(self, sandbox_id: str, port: int) -> socket.socket:
        """See port_forward.py."""
        return await port_forward.connect(self._e, sandbox_id, port)


class NativeEngine:
    """All parts together; satisfies `cricket.cri.engine.Engine`."""

    def __init__(self, parts: Parts, stats: StatsReader, images: NativeImages) -> None:
        self.images = images
        self.sandboxes = NativeSandboxes(parts, stats)
        self.containers = NativeContainers(parts, stats)
        self.executor = NativeExecutor(parts)
        self.node = NativeNode(parts)


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
