"""What the verbs work with, put together once by the daemon. Plain attributes, no registry."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Protocol

from cricket import __version__
from cricket.config.model import Config
from cricket.images.snapshots import Snapshots
from cricket.kernel import cgroup_paths
from cricket.kernel.cgroup_moves import Moves
from cricket.kernel.proc import boot_id
from cricket.lifecycle.events import EventBus
from cricket.lifecycle.handlers import Handlers
from cricket.lifecycle.layout import Layout
from cricket.lifecycle.operations import Locks, Operations
from cricket.lifecycle.process_watch import ProcessWatch
from cricket.lifecycle.stopping import Stopping
from cricket.lifecycle.warm_pool import WarmPool
from cricket.monitor.conmon import Conmon
from cricket.monitor.exits import ExitWatch
from cricket.network.network import Network
from cricket.nri.facade import Nri
from cricket.oci.bundle import Bundles
from cricket.oci.cdi.registry import Registry
from cricket.oci.hooks import HookDirectories
from cricket.oci.host import HostFacts
from cricket.store.store import Store
from cricket.types.image import Image

Spec = dict[str, Any]
_FLUSH = 5.0  # seconds after which records that the disk did not take are offered again


class Images(Protocol):
    """What containers need of the image store."""

    def find(self, name: str) -> Image | None:
        """By id, unique id prefix, tag or digest reference."""

    def manifest_annotations(self, image: Image) -> dict[str, str]:
        """The annotations of its manifest; reads a small file."""


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
        handlers: Handlers,
    ) -> None:
        self.config, self.layout, self.store = config, layout, store
        self.images, self.snapshots, self.network = images, snapshots, network
        self.handlers = handlers
        self.bundles = Bundles(layout.containers())
        self.hooks, self.cdi = HookDirectories(config.hooks.dirs), Registry(config.cdi.spec_dirs)
        self.nri = Nri(config.nri, "cricket", __version__, inject_cdi=self.cdi.inject)
        self.events, self.ops, self.locks = EventBus(), Operations(), Locks()
        self.warm = WarmPool(config, layout, network, store, self.ops)
        self.stopping: dict[str, Stopping] = {}
        self.boot_id = boot_id()
        self._delays: dict[str, float] = {}
        self.cgroups = cgroup_paths.detect()
        self.moves = Moves(self.cgroups)
        self.host = HostFacts.gather()
        self.monitor = Conmon(config.monitor.path, layout.exits, log_size_max=config.monitor.log_size_max)
        self.processes = ProcessWatch()
        self.exits = ExitWatch(layout.exits, self.processes.exit_file)
        store.on_waiting = self._flush_later
        self.on_removed: Callable[[str], None] = lambda _id: None

    def reconfigure(self, config: Config) -> None:
        """Take over what a reload may change; for what is made from now on."""
        self.config = self.warm.config = config
        self.monitor.path, self.monitor.log_size_max = config.monitor.path, config.monitor.log_size_max
        self.hooks.directories, self.cdi.directories = config.hooks.dirs, config.cdi.spec_dirs

    def _flush_later(self) -> None:
        def flush() -> None:
            if not self.store.flush():
                self._flush_later()

        asyncio.get_running_loop().call_later(_FLUSH, flush)

    def retry_later(self, key: str, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Try a failed clean-up again: after 10 s at first, then ever less often, up to every 5 minutes."""
        delay = min(self._delays.get(key, 5.0) * 2, 300.0)
        self._delays[key] = delay
        asyncio.get_running_loop().call_later(delay, lambda: self.ops.background(work(), "clean up again", key))

    def retry_no_more(self, key: str) -> None:
        """The clean-up has succeeded; the next failure begins with the shortest delay."""
        self._delays.pop(key, None)

    async def close(self, drain: float) -> None:
        """Wait `drain` seconds for running verbs, then stop watching; containers go on."""
        self.warm.stop()
        await self.ops.drain(drain)
        await self.warm.leave()
        self.exits.stop()
        self.processes.close()
