"""What the verbs work with, put together once by the daemon. Plain attributes, no registry."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Protocol

from cricket.config.model import Config
from cricket.images.snapshots import Snapshots
from cricket.kernel import cgroup_paths
from cricket.kernel.proc import boot_id
from cricket.lifecycle.events import EventBus
from cricket.lifecycle.handlers import Handlers
from cricket.lifecycle.layout import Layout
from cricket.lifecycle.operations import Locks, Operations
from cricket.lifecycle.process_watch import ProcessWatch
from cricket.lifecycle.stopping import Stopping
from cricket.monitor.conmon import Conmon
from cricket.monitor.exits import ExitWatch
from cricket.network.network import Network
from cricket.oci.bundle import Bundles
from cricket.oci.cdi.registry import Registry
from cricket.oci.hooks import HookDirectories
from cricket.oci.host import HostFacts
from cricket.store.store import Store
from cricket.types.container import Container
from cricket.types.image import Image
from cricket.types.resources import Resources
from cricket.types.sandbox import Sandbox

Spec = dict[str, Any]


class Images(Protocol):
    """What containers need of the image store."""

    def find(self, name: str) -> Image | None:
        """By id, unique id prefix, tag or digest reference."""


class Nri(Protocol):
    """Node resource interface plugins; nothing is called unless `active`."""

    @property
    def active(self) -> bool:
        """Whether any plugin is connected."""

    async def run_sandbox(self, sandbox: Sandbox) -> None: ...

    async def stop_sandbox(self, sandbox: Sandbox) -> None: ...

    async def remove_sandbox(self, sandbox: Sandbox) -> None: ...

    async def update_sandbox(
        self, sandbox: Sandbox, overhead: Resources | None, resources: Resources | None
    ) -> None: ...

    async def create_container(
        self, sandbox: Sandbox, container: Container, spec: Spec
    ) -> tuple[Spec, Sequence[tuple[str, Resources]]]: ...

    async def start_container(self, sandbox: Sandbox, container: Container) -> None: ...

    async def update_container(
        self, sandbox: Sandbox, container: Container, resources: Resources
    ) -> tuple[Resources, Sequence[tuple[str, Resources]]]: ...

    async def stop_container(self, sandbox: Sandbox, container: Container) -> Sequence[tuple[str, Resources]]: ...

    async def remove_container(self, sandbox: Sandbox, container: Container) -> None: ...


class Parts:
    """The engine's parts. `config` is replaced by a reload; everything else lives as long as the daemon."""

    def __init__(
        self,
        config: Config,
        layout: Layout,
        store: Store,
        images: Images,
        snapshots: Snapshots,
        network: Network,
        nri: Nri,
        handlers: Handlers,
    ) -> None:
        self.config, self.layout, self.store = config, layout, store
        self.images, self.snapshots, self.network, self.nri = images, snapshots, network, nri
        self.handlers = handlers
        self.bundles = Bundles(layout.containers())
        self.hooks, self.cdi = HookDirectories(config.hooks.dirs), Registry(config.cdi.spec_dirs)
        self.events, self.ops, self.locks = EventBus(), Operations(), Locks()
        self.stopping: dict[str, Stopping] = {}
        self.boot_id = boot_id()
        self._delays: dict[str, float] = {}
        self.cgroups = cgroup_paths.detect()
        self.host = HostFacts.gather()
        self.monitor = Conmon(config.monitor.path, layout.exits, log_size_max=config.monitor.log_size_max)
        self.processes = ProcessWatch()
        self.exits = ExitWatch(layout.exits, self.processes.exit_file)

    def retry_later(self, key: str, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Try a failed clean-up again: after 10 s at first, then ever less often, up to every 5 minutes."""
        delay = min(self._delays.get(key, 5.0) * 2, 300.0)
        self._delays[key] = delay
        asyncio.get_running_loop().call_later(delay, lambda: self.ops.background(work(), f"retry {key}"))

    async def close(self, drain: float) -> None:
        """Wait `drain` seconds for running verbs, then stop watching; containers go on."""
        await self.ops.drain(drain)
        self.exits.stop()
        self.processes.close()
