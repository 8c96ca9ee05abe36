"""An engine in memory: the contract of `engine.py` without processes, networks or disks, for tests and demonstrations.

It keeps the rules that clients rely on: transitions by the tables, idempotent stop and remove, retries that join,
ids by unique prefix, events after the state is written.
"""

from __future__ import annotations

import asyncio
import itertools
import secrets
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import TypeVar

import msgspec

from cricket.cri import fake_usage
from cricket.cri.filters import by_id
from cricket.cri.framing import Record
from cricket.errors import FailedPrecondition, InvalidArgument, NotFound
from cricket.types.container import Container, ContainerConfig, ContainerEvent, ContainerState
from cricket.types.event import Event, EventType
from cricket.types.image import FsUsage, Image, ImageConfig, RegistryAuth
from cricket.types.node import CgroupDriver, Condition, HandlerInfo, NodeStatus
from cricket.types.resources import Resources
from cricket.types.sandbox import Sandbox, SandboxConfig, SandboxEvent, SandboxState
from cricket.types.stats import ContainerUsage, SandboxUsage
from cricket.types.streams import AttachRequest, ExecRequest, ExecResult, PortForwardRequest

R = TypeVar("R", bound=Record)

BUSYBOX = Image(
    id="sha256:" + "b" * 64,
    tags=("docker.io/library/busybox:latest",),
    digests=("docker.io/library/busybox@sha256:" + "d" * 64,),
    size=2_200_000,
    chain_id="sha256:" + "c" * 64,
    diff_ids=("sha256:" + "c" * 64,),
    config=ImageConfig(user="1000:1000", env=("PATH=/bin",), cmd=("sh",)),
    architecture="amd64",
    os="linux",
)


class FakeNode:
    """The node; `publish` feeds every reader of events."""

    def __init__(self) -> None:
        self.pod_cidr = ""
        self._readers: list[asyncio.Queue[Event]] = []

    async def status(self, verbose: bool) -> NodeStatus:
        """Ready in every way."""
        return NodeStatus(
            conditions=(Condition("RuntimeReady", True), Condition("NetworkReady", True)),
            handlers=(HandlerInfo("", True, True), HandlerInfo("crun", True, True)),
            info={"config": "{}"} if verbose else {},
        )

    def cgroup_driver(self) -> CgroupDriver:
        """systemd, the value that is zero on the wire."""
        return CgroupDriver.SYSTEMD

    async def update_runtime_config(self, pod_cidr: str) -> None:
        """Remembered."""
        self.pod_cidr = pod_cidr

    def events(self) -> AsyncIterator[Event]:
        """Subscribed at once, not at the first read."""
        queue: asyncio.Queue[Event] = asyncio.Queue()
        self._readers.append(queue)
        return self._read(queue)

    async def _read(self, queue: asyncio.Queue[Event]) -> AsyncIterator[Event]:
        try:
            while True:
                yield await queue.get()
        finally:
            self._readers.remove(queue)

    def publish(self, kind: EventType, box: Sandbox, container_id: str = "") -> None:
        """Tell all readers."""
        gone = box if kind is EventType.DELETED and not container_id else None
        for queue in self._readers:
            queue.put_nowait(Event(container_id or box.id, box.id, kind, time.time_ns(), gone))


class FakeSandboxes:
    """Sandboxes."""

    def __init__(self, engine: FakeEngine) -> None:
        self._engine = engine
        self.records: dict[str, Sandbox] = {}
        self._ips = itertools.count(2)

    async def run(self, config: SandboxConfig, handler: str) -> str:
        """READY at once."""
        if handler not in ("", "crun"):
            raise InvalidArgument(f"there is no runtime handler {handler!r}", where="runtime_handler")
        for box in self.records.values():
            if box.config.metadata.key == config.metadata.key and box.state is SandboxState.READY:
                return box.id
        ips = (f"10.88.0.{next(self._ips)}",)
        box = Sandbox(secrets.token_hex(32), config, handler, SandboxState.CREATING, time.time_ns(), "boot", ips=ips)
        self.records[box.id] = box = box.fire(SandboxEvent.STARTED)
        self._engine.node.publish(EventType.CREATED, box)
        self._engine.node.publish(EventType.STARTED, box)
        return box.id

    async def stop(self, sandbox_id: str) -> None:
        """Containers first."""
        for box in by_id(tuple(self.records.values()), sandbox_id):
            for container in self._engine.containers.of(box.id):
                await self._engine.containers.stop(container.id, 0)
            if box.state is SandboxState.READY:
                box = box.fire(SandboxEvent.STOP).fire(SandboxEvent.STOPPED, ips=())
                self.records[box.id] = box
                self._engine.node.publish(EventType.STOPPED, box)

    async def remove(self, sandbox_id: str) -> None:
        """Containers first."""
        for box in by_id(tuple(self.records.values()), sandbox_id):
            await self.stop(box.id)
            for container in self._engine.containers.of(box.id):
                await self._engine.containers.remove(container.id)
            box = self.records.pop(box.id)
            self._engine.node.publish(EventType.DELETED, box)

    def get(self, sandbox_id: str) -> Sandbox:
        """By id or unique prefix."""
        return _one(self.records, sandbox_id, "sandbox")

    def list(self) -> Sequence[Sandbox]:
        """Oldest first."""
        return tuple(self.records.values())

    async def update_resources(self, sandbox_id: str, overhead: Resources | None, resources: Resources | None) -> None:
        """Recorded."""
        box = self.get(sandbox_id)
        self.records[box.id] = msgspec.structs.replace(
            box, overhead=overhead or box.overhead, resources=resources or box.resources
        )

    async def stats(self, sandbox_ids: Sequence[str], *, full: bool = False) -> Sequence[SandboxUsage]:
        """Made up, the same each time."""
        return [
            fake_usage.sandbox(i, [c.id for c in self._engine.containers.of(i) if c.state is ContainerState.RUNNING])
            for i in sandbox_ids
            if i in self.records
        ]

    def info(self, sandbox_id: str) -> dict[str, str]:
        """A pid."""
        return {"info": '{"pid": 1}'}


class FakeContainers:
    """Containers."""

    def __init__(self, engine: FakeEngine) -> None:
        self._engine = engine
        self.records: dict[str, Container] = {}
        self.logs_reopened: list[str] = []
        self.checkpoints: list[tuple[str, str]] = []

    def of(self, sandbox_id: str) -> list[Container]:
        """Those of a sandbox."""
        return [c for c in self.records.values() if c.sandbox_id == sandbox_id]

    async def create(self, sandbox_id: str, config: ContainerConfig, sandbox_config: SandboxConfig | None) -> str:
        """CREATED at once."""
        box = self._engine.sandboxes.get(sandbox_id)
        if box.state is not SandboxState.READY:
            raise FailedPrecondition(f"the sandbox is {box.state}", where=box.id)
        image = self._engine.images.find(config.image)
        if image is None:
            raise NotFound("the image is not here", where=config.image)
        for found in self.of(box.id):
            if found.config.metadata == config.metadata and found.state is ContainerState.CREATED:
                return found.id
        container = Container(
            id=secrets.token_hex(32),
            sandbox_id=box.id,
            config=config,
            state=ContainerState.CREATING,
            created_at=time.time_ns(),
            image_id=image.id,
            image_ref=image.digests[0] if image.digests else image.id,
            log_path=f"{box.config.log_directory}/{config.log_path}" if config.log_path else "",
            mounts=config.mounts,
            resources=config.resources,
        )
        self._put(container.fire(ContainerEvent.CREATED), EventType.CREATED)
        return container.id

    async def start(self, container_id: str) -> None:
        """RUNNING at once."""
        container = self.get(container_id).fire(ContainerEvent.START)
        running = container.fire(ContainerEvent.STARTED, started_at=time.time_ns(), pid=1)
        self._put(running, EventType.STARTED)

    async def stop(self, container_id: str, timeout: float) -> None:
        """EXITED at once, as by SIGKILL."""
        for container in by_id(tuple(self.records.values()), container_id):
            if container.state is ContainerState.RUNNING:
                ended = container.fire(
                    ContainerEvent.EXITED, finished_at=time.time_ns(), exit_code=137, reason="Error", pid=0
                )
                self._put(ended, EventType.STOPPED)

    async def remove(self, container_id: str) -> None:
        """Gone at once."""
        for container in by_id(tuple(self.records.values()), container_id):
            await self.stop(container.id, 0)
            del self.records[container.id]
            self._engine.node.publish(EventType.DELETED, self._engine.sandboxes.get(container.sandbox_id), container.id)

    def get(self, container_id: str) -> Container:
        """By id or unique prefix."""
        return _one(self.records, container_id, "container")

    def list(self) -> Sequence[Container]:
        """Oldest first."""
        return tuple(self.records.values())

    async def update_resources(self, container_id: str, resources: Resources, annotations: Mapping[str, str]) -> None:
        """Recorded."""
        container = self.get(container_id)
        self.records[container.id] = msgspec.structs.replace(container, resources=resources)

    async def reopen_log(self, container_id: str) -> None:
        """Remembered."""
        container = self.get(container_id)
        if container.state is not ContainerState.RUNNING:
            raise FailedPrecondition("the container is not running", where=container.id)
        self.logs_reopened.append(container.id)

    async def checkpoint(self, container_id: str, location: str, timeout: float) -> None:
        """Remembered."""
        self.checkpoints.append((self.get(container_id).id, location))

    async def stats(self, container_ids: Sequence[str]) -> Sequence[ContainerUsage]:
        """Made up, the same each time."""
        running = (self.records[i] for i in container_ids if i in self.records)
        return [fake_usage.container(c.id) for c in running if c.state is ContainerState.RUNNING]

    def info(self, container_id: str) -> dict[str, str]:
        """A pid."""
        return {"info": '{"pid": 1}'}

    def _put(self, container: Container, event: EventType) -> None:
        self.records[container.id] = container
        self._engine.node.publish(event, self._engine.sandboxes.get(container.sandbox_id), container.id)


class FakeExecutor:
    """Answers with the command's words; the command "sleep" lasts until it is cancelled."""

    def __init__(self, engine: FakeEngine) -> None:
        self._engine = engine

    async def exec_sync(self, container_id: str, cmd: Sequence[str], timeout: float) -> ExecResult:
        """The exit code is that of `exit N`."""
        if self._engine.containers.get(container_id).state is not ContainerState.RUNNING:
            raise FailedPrecondition("the container is not running", where=container_id)
        if cmd[0] == "sleep":
            await asyncio.Event().wait()
        code = int(cmd[1]) if cmd[0] == "exit" else 0
        return ExecResult(" ".join(cmd).encode(), b"", code)


class FakeImages:
    """Images; a pull makes one."""

    def __init__(self) -> None:
        self.records: dict[str, Image] = {BUSYBOX.id: BUSYBOX}
        self.auths: list[RegistryAuth | None] = []

    async def pull(self, reference: str, auth: RegistryAuth | None, annotations: Mapping[str, str]) -> str:
        """At once."""
        self.auths.append(auth)
        found = self.find(reference)
        if found is None:
            found = Image(id="sha256:" + secrets.token_hex(32), tags=(reference,), size=1)
            self.records[found.id] = found
        return found.id

    def find(self, name: str) -> Image | None:
        """By id, with or without algorithm, unique prefix, tag or digest; "busybox" is short for its full name."""
        for image in self.records.values():
            if name in (*image.tags, *image.digests) or f"docker.io/library/{name}:latest" in image.tags:
                return image
        matches = by_id(tuple(self.records.values()), f"sha256:{name.removeprefix('sha256:')}")
        return matches[0] if len(matches) == 1 else None

    def list(self) -> Sequence[Image]:
        """All."""
        return tuple(self.records.values())

    async def remove(self, name: str) -> None:
        """With all tags."""
        image = self.find(name)
        if image is not None:
            del self.records[image.id]

    async def fs_usage(self) -> Sequence[FsUsage]:
        """One file system."""
        return [FsUsage("/var/lib/cricket", 4096, 7, time.time_ns())]


class FakeStreams:
    """URLs that lead nowhere."""

    def exec_url(self, request: ExecRequest) -> str:
        """With the id."""
        return f"http://127.0.0.1:1/exec/{request.container_id}"

    def attach_url(self, request: AttachRequest) -> str:
        """With the id."""
        return f"http://127.0.0.1:1/attach/{request.container_id}"

    def port_forward_url(self, request: PortForwardRequest) -> str:
        """With the id."""
        return f"http://127.0.0.1:1/portforward/{request.sandbox_id}"


class FakeEngine:
    """All of it."""

    def __init__(self) -> None:
        self.node = FakeNode()
        self.sandboxes = FakeSandboxes(self)
        self.containers = FakeContainers(self)
        self.executor = FakeExecutor(self)
        self.images = FakeImages()


def _one(records: Mapping[str, R], prefix: str, what: str) -> R:
    found = by_id(tuple(records.values()), prefix) if prefix else []
    if not found:
        raise NotFound(f"there is no such {what}", where=prefix)
    return found[0]
