"""Records and a running `Nri` for tests."""

from __future__ import annotations

import asyncio
import contextlib
import os
import tempfile
from collections.abc import AsyncIterator
from typing import Any

import msgspec

from cricket.config.model import Nri as Config
from cricket.errors import NotFound
from cricket.nri.facade import Nri
from cricket.types.container import Container, ContainerConfig, ContainerMetadata, ContainerState
from cricket.types.resources import Resources
from cricket.types.sandbox import Sandbox, SandboxConfig, SandboxMetadata, SandboxState

SPEC: dict[str, Any] = {
    "ociVersion": "1.0.2",
    "process": {
        "args": ["sleep", "inf"],
        "env": ["PATH=/bin", "A=1"],
        "cwd": "/",
        "user": {"uid": 5, "gid": 6, "additionalGids": [7]},
        "oomScoreAdj": 100,
    },
    "mounts": [{"destination": "/proc", "type": "proc", "source": "proc"}],
    "linux": {
        "namespaces": [{"type": "network", "path": "/run/ns"}, {"type": "mount"}],
        "resources": {"memory": {"limit": 1000, "swap": 1000}, "cpu": {"shares": 2}},
        "cgroupsPath": "/k/x",
    },
}


def sandbox(name: str = "p", state: SandboxState = SandboxState.READY, **more: Any) -> Sandbox:
    metadata = SandboxMetadata(name, f"uid-{name}", "ns")
    return Sandbox(f"box-{name}", SandboxConfig(metadata, **more), "", state, 1, "boot", ips=("10.0.0.2",))


def container(name: str, state: ContainerState = ContainerState.RUNNING, box: str = "box-p", **more: Any) -> Container:
    config = ContainerConfig(ContainerMetadata(name), image="busybox", **more)
    return Container(f"ctr-{name}", box, config, state, 1, resources=Resources(memory_limit=1000, cpu_shares=2))


class World:
    """What the runtime has, and what plugins did to it."""

    def __init__(self, directory: str) -> None:
        self.directory = directory
        self.sandboxes: dict[str, Sandbox] = {}
        self.containers: dict[str, Container] = {}
        self.updated: list[tuple[str, Resources]] = []
        self.evicted: list[tuple[str, str]] = []
        self.changed = asyncio.Event()

    @property
    def socket(self) -> str:
        return os.path.join(self.directory, "nri.sock")

    def put(self, record: Sandbox | Container, state: Any = None) -> Any:
        if state is not None:
            record = msgspec.structs.replace(record, state=state)
        table: dict[str, Any] = self.sandboxes if isinstance(record, Sandbox) else self.containers
        table[record.id] = record
        return record

    def config(self, **more: Any) -> Config:
        return Config(
            socket=self.socket,
            plugin_path=os.path.join(self.directory, "plugins"),
            plugin_config_path=os.path.join(self.directory, "conf.d"),
            **{"registration_timeout": 5.0, "request_timeout": 2.0, **more},
        )

    async def update(self, container_id: str, resources: Resources) -> None:
        if container_id not in self.containers:
            raise NotFound("no such container", where=container_id)
        self.updated.append((container_id, resources))
        self.changed.set()

    async def evict(self, container_id: str, reason: str) -> None:
        self.evicted.append((container_id, reason))
        self.changed.set()

    @contextlib.asynccontextmanager
    async def nri(self, **more: Any) -> AsyncIterator[Nri]:
        nri = Nri(self.config(**more), "cricket", "1.2.3", inject_cdi=_inject)
        await nri.start(
            lambda: (list(self.sandboxes.values()), list(self.containers.values())),
            self.update,
            spec_of=lambda _: SPEC,
            evict=self.evict,
        )
        try:
            yield nri
        finally:
            await nri.stop()


def _inject(spec: dict[str, Any], names: Any) -> None:
    spec["cdi"] = list(names)


def short_directory() -> str:
    """A directory whose name leaves room for a socket's (108 bytes in all)."""
    return tempfile.mkdtemp(prefix="nri-")
