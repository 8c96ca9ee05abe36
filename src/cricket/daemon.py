"""The composition root: every part is made here by its plain constructor, started in order, stopped in reverse."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import gc
import grp
import logging
import os
import signal
import socket
import sys
import time
from concurrent.futures import ThreadPoolExecutor

from cricket import __version__
from cricket.config.load import Loaded, load
from cricket.config.model import Config
from cricket.config.reload import plan
from cricket.cri.server import CriServer
from cricket.cri.side import SideService
from cricket.errors import CricketError, FailedPrecondition, Internal, InvalidArgument, map_errors
from cricket.images.pull import PullService
from cricket.images.store import ImageStore
from cricket.images.sweep import Sweep
from cricket.kernel import children
from cricket.kernel.files import make_dir
from cricket.kernel.filesystem import capacity
from cricket.kernel.memory import give_back, tame_allocator
from cricket.lifecycle import metrics
from cricket.lifecycle.engine import NativeEngine
from cricket.lifecycle.handlers import Handlers
from cricket.lifecycle.image_service import NativeImages
from cricket.lifecycle.layer_usage import LayerUsage
from cricket.lifecycle.layout import Layout
from cricket.lifecycle.nri_start import start_nri
from cricket.lifecycle.parts import Parts
from cricket.lifecycle.recover import recover
from cricket.lifecycle.side import Archives, Pulls
from cricket.lifecycle.stats import StatsReader
from cricket.lifecycle.streams import CheckedStreams
from cricket.network.network import Network
from cricket.network.stats import interfaces
from cricket.store.store import Store
from cricket.streaming.server import StreamServer
from cricket.types.side import ReloadReport

log = logging.getLogger("cricket")
_THREADS = 64  # for work on files: a path that hangs (NFS) holds one for as long as it hangs
_DRAIN = 10.0  # seconds for which a stop waits for running verbs; what is left is finished by recovery


def main(config_path: str, overrides: dict[str, object]) -> int:
    """Run the daemon until SIGTERM or SIGINT; the exit status. Configuration errors are told and give 2."""
    began = time.monotonic()
    tame_allocator()
    # Whatever the caller's: containers read the files that we make for them as somebody else.
    os.umask(0o022)
    try:
        loaded = load(config_path, overrides=overrides)
    except CricketError as error:
        print(f"cricket: {error}", file=sys.stderr)
        return 2
    set_up_logging(loaded.config)
    for warning in loaded.warnings:
        log.warning("%s", warning)
    try:
        return asyncio.run(Daemon(loaded, config_path, overrides).run(began))
    except CricketError as error:
        log.error("cannot start: %s", error)
        return 1


def set_up_logging(config: Config) -> None:
    """Log to standard error, as text or JSON lines."""
    handler = logging.StreamHandler()
    if config.log.format == "json":
        from cricket.log_json import JsonFormatter

        handler.setFormatter(JsonFormatter())
    else:
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)-7s %(name)s: %(message)s"))
    logging.basicConfig(level=config.log.level.upper(), handlers=[handler], force=True)
    for noisy in ("asyncio", "hpack"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


class Daemon:
    """One running daemon."""

    def __init__(self, loaded: Loaded, config_path: str, overrides: dict[str, object]) -> None:
        self.config, self._path, self._overrides = loaded.config, os.path.abspath(config_path), overrides
        self.layout = Layout(self.config.root, self.config.state)
        self._locks: list[int] = []

    async def run(self, began: float) -> int:
        """Start everything, serve, stop everything."""
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(_THREADS, "work"))
        self._take_lock(self.config.root)
        self._take_lock(self.config.state)
        self.layout.prepare()
        await children.adopt(f"{self.config.root}/children.lock")
        # conmon creates a file "oom" in its working directory, which is ours, when a container runs out of memory.
        os.chdir(self.config.state)
        async with contextlib.AsyncExitStack() as stack:
            await self._start(stack)
            stopped = asyncio.Event()
            loop = asyncio.get_running_loop()
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.add_signal_handler(number, stopped.set)
            loop.add_signal_handler(signal.SIGHUP, self.hang_up)
            log.info("cricket %s serves after %.0f ms", __version__, (time.monotonic() - began) * 1000)
            notify("READY=1")
            # What start-up made lives as long as the daemon: no collection needs to look at it again.
            gc.collect()
            gc.freeze()
            give_back()
            self._parts.warm.start()
            await stopped.wait()
            notify("STOPPING=1")
            log.info("stopping; containers go on running")
        if left := self._parts.ops.running():
            log.warning("left to the next start, as they hang: %s", ", ".join(left))
            # To cancel them would undo what the next start finishes, in a daemon that is half gone.
            logging.shutdown()
            os._exit(0)
        return 0

    def _take_lock(self, directory: str) -> None:
        """Two daemons on one root, or one state directory, would sweep away each other's containers."""
        make_dir(directory, 0o711)
        path = f"{directory}/daemon.lock"
        with map_errors(OSError, Internal, "cannot open the lock", where=path):
            lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._locks.append(lock)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise FailedPrecondition(
                "another cricket daemon uses this directory", where=directory, todo="Stop it, or configure another."
            ) from error

    async def _start(self, stack: contextlib.AsyncExitStack) -> None:
        config, layout = self.config, self.layout
        handlers = Handlers(config)
        store = Store(layout.database)
        stack.callback(store.close)
        images = ImageStore(layout.images, pinned=config.images.pinned, keep_blobs=config.images.keep_blobs)
        stack.callback(images.close)
        pulls = PullService(images, config.images, on_done=metrics.pulled)
        stack.push_async_callback(pulls.close)
        network = self._network()
        await handlers.probe()
        network.start_watch()
        stack.callback(network.stop_watch)
        parts = Parts(config, layout, store, images, images.snapshots, network, handlers)
        stack.push_async_callback(parts.close, _DRAIN)
        await images.recover()
        await recover(parts)
        stats = self._stats(parts)
        engine = NativeEngine(parts, stats, NativeImages(images, pulls))
        metrics.register(parts, engine.images)
        streaming = self._streaming(engine)
        await streaming.start()
        stack.push_async_callback(streaming.stop)
        await start_nri(parts)
        stack.push_async_callback(parts.nri.stop)
        self._sweep = Sweep(images, config.images)
        self._sweep.start()
        stack.push_async_callback(self._sweep.stop)
        self._parts, self._handlers, self._stats_reader, self._pulls = parts, handlers, stats, pulls
        self._images, self._streams = images, streaming
        await self._serve(stack, engine, CheckedStreams(parts, streaming))
        self._report()

    def _network(self) -> Network:
        config = self.config.network
        return Network(
            config.conf_dirs,
            config.bin_dirs,
            config.cache_dir or f"{self.config.root}/network",
            default_network=config.default_network,
            conf_template=config.conf_template,
            plugin_timeout=config.plugin_timeout,
            builtin_plugins=config.builtin_plugins,
        )

    def _stats(self, parts: Parts) -> StatsReader:
        layers = LayerUsage(parts.snapshots.usage)
        stats = StatsReader(
            parts.cgroups,
            parts.handlers.cgroup_driver,
            writable_layer=lambda container: layers.get(container.id),
            measure=layers.refresh,
            interfaces=lambda box: interfaces(box.netns),
            capacity=lambda: capacity(self.layout.images),
            period=self.config.stats.collect_period,
        )

        def removed(object_id: str) -> None:
            layers.forget(object_id)
            stats.forget(object_id)

        parts.on_removed = removed
        return stats

    def _streaming(self, engine: NativeEngine) -> StreamServer:
        config = self.config.streaming
        return StreamServer(
            engine.executor,
            address=config.address,
            port=config.port,
            tls_cert=config.tls_cert,
            tls_key=config.tls_key,
            base_url=config.base_url,
            idle_timeout=config.idle_timeout,
            creation_timeout=config.creation_timeout,
        )

    async def _serve(self, stack: contextlib.AsyncExitStack, engine: NativeEngine, streams: CheckedStreams) -> None:
        if self.config.metrics.address:
            from cricket.cri.metrics_http import MetricsServer

            endpoint = MetricsServer(self.config.metrics.address)
            await endpoint.start()
            stack.push_async_callback(endpoint.stop)
        make_dir(os.path.dirname(self.config.socket), 0o711)
        server = CriServer(
            engine,
            streams,
            self.config.socket,
            mode=self.config.socket_mode,
            gid=_group(self.config.socket_group),
            request_limit=self.config.limits.request_size,
            side=SideService(archives=Archives(engine.images), pulls=Pulls(engine.images), daemon=self),
        )
        await server.start()
        stack.push_async_callback(server.stop)

    def _report(self) -> None:
        """Say at start what a user would otherwise find out from a failing pod."""
        for handler in self._handlers.all():
            if handler.problem:
                log.warning("handler %s cannot be used: %s", handler.name, handler.problem)
        log.info("default handler: %s", self._handlers.default or "none")
        condition = self._parts.network.condition()
        if not condition.status:
            log.warning("network: %s", condition.message)

    def hang_up(self) -> None:
        """SIGHUP: reload, and tell the log what came of it."""
        try:
            report = self._reload()
        except CricketError as error:
            log.error("the configuration is not reloaded: %s", error)
            return
        log.info("configuration reloaded: %s", ", ".join(report.applied) or "nothing has changed")
        if report.needs_restart:
            log.warning("these changes need a restart: %s", ", ".join(report.needs_restart))

    async def reload(self) -> ReloadReport:
        """The same for the side service. Raises InvalidArgument that names file and key."""
        return self._reload()

    def _reload(self) -> ReloadReport:
        """Take over what can be changed while running."""
        change = plan(self.config, load(self._path, overrides=self._overrides).config)
        self._images.pin(change.config.images.pinned)  # first, as it may be refused
        self.config = self._handlers.config = change.config
        self._parts.reconfigure(change.config)
        network = change.config.network
        self._parts.network.reconfigure(
            network.conf_dirs,
            network.bin_dirs,
            default_network=network.default_network,
            conf_template=network.conf_template,
            plugin_timeout=network.plugin_timeout,
            builtin_plugins=network.builtin_plugins,
        )
        self._parts.warm.kick()
        streaming = change.config.streaming
        self._streams.reconfigure(idle_timeout=streaming.idle_timeout, creation_timeout=streaming.creation_timeout)
        self._pulls.reload(change.config.images)
        self._sweep.config = change.config.images
        self._stats_reader.period = change.config.stats.collect_period
        logging.getLogger().setLevel(change.config.log.level.upper())
        return ReloadReport(tuple(c.key for c in change.applied), tuple(c.key for c in change.needs_restart))

    def facts(self) -> dict[str, str]:
        """For `cricket info`."""
        return {
            "configuration": self._path,
            "root": self.config.root,
            "state": self.config.state,
            "socket": self.config.socket,
            "default handler": self._handlers.default,
            "network": self._parts.network.condition().message or "ready",
            "network plugins in the daemon": ", ".join(self._parts.network.in_process()) or "none",
            "warm sandboxes": str(self._parts.warm),
        }


# Taken out of the environment: runtimes that inherit it would speak to the service manager for their containers.
_NOTIFY_SOCKET = os.environ.pop("NOTIFY_SOCKET", "")


def notify(state: str) -> None:
    """sd_notify(3): tell the service manager; without one nothing happens."""
    address = _NOTIFY_SOCKET
    if not address:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock, contextlib.suppress(OSError):
        sock.sendto(state.encode(), "\0" + address[1:] if address.startswith("@") else address)


def _group(name: str) -> int | None:
    if not name:
        return None
    if name.isdigit():
        return int(name)
    try:
        return grp.getgrnam(name).gr_gid
    except KeyError as error:
        raise InvalidArgument(f"there is no group {name!r}", where="socket_group") from error
