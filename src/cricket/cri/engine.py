"""What the servicers need of an engine. Native, Docker and containerd engines all have this shape.

Ids in requests may be unique prefixes; get() and the verbs resolve them. list() and get() read memory and never wait.
All methods raise `CricketError` kinds.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Protocol

from cricket.types.container import Container, ContainerConfig
from cricket.types.event import Event
from cricket.types.image import FsUsage, Image, RegistryAuth
from cricket.types.node import CgroupDriver, NodeStatus
from cricket.types.resources import Resources
from cricket.types.sandbox import Sandbox, SandboxConfig
from cricket.types.stats import ContainerUsage, SandboxUsage
from cricket.types.streams import AttachRequest, ExecRequest, ExecResult, PortForwardRequest


class Sandboxes(Protocol):
    """Pod sandboxes."""

    async def run(self, config: SandboxConfig, handler: str) -> str:
        """Create and start; returns the id. A retry with the same metadata joins the first attempt."""

    async def stop(self, sandbox_id: str) -> None:
        """Kill its containers and release its network. Idempotent; a missing sandbox is no error."""

    async def remove(self, sandbox_id: str) -> None:
        """Stop and remove it with its containers. Idempotent; a missing sandbox is no error."""

    def get(self, sandbox_id: str) -> Sandbox:
        """The record; NotFound when missing."""

    def list(self) -> Sequence[Sandbox]:
        """All records that CRI may see, oldest first."""

    async def update_resources(self, sandbox_id: str, overhead: Resources | None, resources: Resources | None) -> None:
        """Record new pod-level resources (CRI UpdatePodSandboxResources)."""

    async def stats(self, sandbox_ids: Sequence[str], *, full: bool = False) -> Sequence[SandboxUsage]:
        """Usage of those that still exist; what vanished is left out. `full`: all that metrics want."""

    def info(self, sandbox_id: str) -> dict[str, str]:
        """Verbose information: name to JSON text."""


class Containers(Protocol):
    """Containers."""

    async def create(self, sandbox_id: str, config: ContainerConfig, sandbox_config: SandboxConfig | None) -> str:
        """Create; returns the id. A retry with the same metadata joins the first attempt."""

    async def start(self, container_id: str) -> None:
        """Start a created container; a failure leaves it EXITED with code 128 and reason StartError."""

    async def stop(self, container_id: str, timeout: float) -> None:
        """Stop signal, then SIGKILL after `timeout` seconds. Idempotent; missing is no error."""

    async def remove(self, container_id: str) -> None:
        """Remove, by force when running. Idempotent; missing is no error."""

    def get(self, container_id: str) -> Container:
        """The record; NotFound when missing."""

    def list(self) -> Sequence[Container]:
        """All records that CRI may see, oldest first."""

    async def update_resources(self, container_id: str, resources: Resources, annotations: Mapping[str, str]) -> None:
        """Change limits of a created or running container; on failure nothing changed."""

    async def reopen_log(self, container_id: str) -> None:
        """Open the log path anew after a rotation."""

    async def checkpoint(self, container_id: str, location: str, timeout: float) -> None:
        """Write a checkpoint archive to `location`; the container goes on running."""

    async def stats(self, container_ids: Sequence[str]) -> Sequence[ContainerUsage]:
        """Usage of those of the containers that still exist; what vanished is left out."""

    def info(self, container_id: str) -> dict[str, str]:
        """Verbose information: name to JSON text (key "info": pid, runtime spec, ...)."""


class Executor(Protocol):
    """Processes in containers."""

    async def exec_sync(self, container_id: str, cmd: Sequence[str], timeout: float) -> ExecResult:
        """Run to the end; DeadlineExceeded (and the process dead) after `timeout` seconds, 0 meaning none."""


class Streams(Protocol):
    """Makes one-shot URLs of the streaming server; validates the target first (NotFound, FailedPrecondition)."""

    def exec_url(self, request: ExecRequest) -> str:
        """Absolute URL with a token."""

    def attach_url(self, request: AttachRequest) -> str:
        """Absolute URL with a token."""

    def port_forward_url(self, request: PortForwardRequest) -> str:
        """Absolute URL with a token."""


class Images(Protocol):
    """The image store."""

    async def pull(self, reference: str, auth: RegistryAuth | None, annotations: Mapping[str, str]) -> str:
        """Pull and return the image id; concurrent pulls of the same thing share one download."""

    def find(self, name: str) -> Image | None:
        """By id (or unique prefix), tag or digest reference; None when missing."""

    def list(self) -> Sequence[Image]:
        """All images."""

    async def remove(self, name: str) -> None:
        """Drop the image with all of its tags. Idempotent; missing is no error."""

    async def fs_usage(self) -> Sequence[FsUsage]:
        """Usage of the image file system; the first entry counts."""


class Node(Protocol):
    """The node as a whole."""

    async def status(self, verbose: bool) -> NodeStatus:
        """Conditions, handlers and features."""

    def cgroup_driver(self) -> CgroupDriver:
        """The driver that the kubelet shall use."""

    async def update_runtime_config(self, pod_cidr: str) -> None:
        """The kubelet tells the node's pod CIDR."""

    def events(self) -> AsyncIterator[Event]:
        """Events from now on; a slow reader loses the oldest, and is told so by the log."""


class Engine(Protocol):
    """The whole; `cri` sees nothing else."""

    @property
    def sandboxes(self) -> Sandboxes:
        """Pod sandboxes."""

    @property
    def containers(self) -> Containers:
        """Containers."""

    @property
    def executor(self) -> Executor:
        """Processes in containers."""

    @property
    def images(self) -> Images:
        """The image store."""

    @property
    def node(self) -> Node:
        """The node as a whole."""
