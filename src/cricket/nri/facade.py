"""NRI as the lifecycle sees it: one method for each event, taking our records."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import logging
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from typing import TYPE_CHECKING, Any

from cricket.config import model
from cricket.errors import AlreadyExists, CricketError
from cricket.kernel.files import remove_file
from cricket.nri import preinstalled
from cricket.nri.claims import Claims
from cricket.nri.from_records import container_message, sandbox_message
from cricket.nri.known import Known
from cricket.nri.socket_server import listen
from cricket.nri.validator import validate
from cricket.nri.wishes import ApplyUpdate, Evict, Wishes
from cricket.types.container import Container, ContainerState
from cricket.types.resources import Resources
from cricket.types.sandbox import Sandbox, SandboxState

if TYPE_CHECKING:  # protobuf and what needs it are loaded by `_load`, when the first plugin comes
    from cricket.nri.plugin import Plugin
    from cricket.nri.server import Server

log = logging.getLogger(__name__)

Spec = dict[str, Any]
Update = tuple[str, Resources]
Sync = Callable[[], tuple[Sequence[Sandbox], Sequence[Container]]]
SpecOf = Callable[[str], Spec]
InjectCdi = Callable[[Spec, Sequence[str]], None]


class Nri:
    """NRI. Every method may always be called; without a plugin it returns at once, without suspending.

    Plugins may refuse RunPodSandbox, UpdatePodSandbox, CreateContainer, StartContainer and UpdateContainer, which then
    raise PluginError; they are told of everything else and their errors are logged. A plugin that does not answer
    within `request_timeout` is dropped, and the event goes on without it. `run_sandbox` and `create_container` must be
    called without plugins too (`active`): a plugin that joins a moment later has to be told of the object.

    `inject_cdi` writes the CDI devices that plugins ask for into a spec.
    """

    def __init__(
        self,
        config: model.Nri,
        runtime_name: str,
        runtime_version: str,
        *,
        inject_cdi: InjectCdi | None = None,
    ) -> None:
        self._config, self._name, self._version = config, runtime_name, runtime_version
        self._inject_cdi = inject_cdi
        self._known = Known()
        self._server: Server | None = None
        self._relay: Any = None
        self._socket: socket.socket | None = None
        self._accepting: asyncio.Task[None] | None = None
        self._started = False

    @property
    def active(self) -> bool:
        """Whether events are to be reported here: NRI is enabled and started, with plugins or without."""
        return self._started

    @property
    def connected(self) -> bool:
        """Whether a plugin is connected or joining."""
        return self._server is not None and self._server.busy

    # start and stop

    async def start(
        self, sync: Sync, update: ApplyUpdate, *, spec_of: SpecOf | None = None, evict: Evict | None = None
    ) -> None:
        """Start pre-installed plugins and listen for others; nothing when NRI is disabled.

        `sync` returns all records from memory, those that are being created too. `update` applies resources to a
        container; it must not send an UpdateContainer event. `spec_of` reads the OCI spec of a container (in a thread;
        CricketError when there is none); `evict` stops a container for the given reason. Raises Internal when the
        socket cannot be made.
        """
        self._sync, self._spec_of = sync, spec_of
        self._wishes = Wishes(lambda: sync()[1], update, evict)
        if not self._config.enable:
            return
        self._started = True
        config = self._config
        for found in await asyncio.to_thread(preinstalled.discover, config.plugin_path, config.plugin_config_path):
            await (await self._load()).launch(found)
        if config.allow_external:
            try:
                self._socket = listen(config.socket)
            except AlreadyExists as e:
                log.warning("external NRI plugins are not served: %s", e)
            else:
                self._accepting = asyncio.get_running_loop().create_task(self._accept(self._socket))

    async def stop(self) -> None:
        """Take leave of the plugins and end the pre-installed ones. Idempotent."""
        self._started = False
        if self._accepting is not None:
            self._accepting.cancel()
            await asyncio.gather(self._accepting, return_exceptions=True)
            self._accepting = None
        if self._socket is not None:
            self._socket.close()
            self._socket = None
            remove_file(self._config.socket)
        if self._server is not None:
            await self._server.stop()
            await self._wishes.stop()

    # pods

    async def run_sandbox(self, sandbox: Sandbox, pid: int = 0) -> None:
        """The sandbox has its namespaces and network, but is not ready yet. Raises PluginError (and it is undone)."""
        if not self.connected:
            self._pass(sandbox.id)
            return
        async with self._turn() as (server, relay):
            self._known.add(sandbox.id)
            try:
                await relay.ask(server, "RunPodSandbox", sandbox, None, None)
            except CricketError:
                await self._forget_sandbox(server, relay, sandbox)
                raise

    async def update_sandbox(self, sandbox: Sandbox, overhead: Resources | None, resources: Resources | None) -> None:
        """Pod-level resources are about to change. Raises PluginError."""
        if self.connected:
            async with self._turn() as (server, relay):
                await relay.update_sandbox(server, sandbox, overhead, resources)

    async def post_update_sandbox(self, sandbox: Sandbox) -> None:
        """Pod-level resources have changed."""
        await self._notify("PostUpdatePodSandbox", sandbox)

    async def stop_sandbox(self, sandbox: Sandbox) -> None:
        """All containers have exited; network and namespaces are still there. Told once, however often called."""
        if self.connected:
            async with self._turn() as (server, relay):
                if self._known.stop(sandbox.id):
                    await relay.notify(server, "StopPodSandbox", sandbox)

    async def remove_sandbox(self, sandbox: Sandbox) -> None:
        """The sandbox is being removed; told to have stopped first, if that was not told."""
        if self.connected:
            async with self._turn() as (server, relay):
                await self._forget_sandbox(server, relay, sandbox)

    # containers

    async def create_container(
        self, sandbox: Sandbox, container: Container, spec: Spec
    ) -> tuple[Spec, Sequence[Update]]:
        """The spec as plugins adjust it, and resources that other containers shall get. `spec` is not changed.

        Raises PluginError (refused), Conflict (two plugins disagree), PermissionDenied (a validator rejects),
        Unimplemented and what `inject_cdi` raises (an adjustment that cannot be made); then it is undone.
        """
        if not self.connected:
            self._validate(sandbox, container, spec)
            self._pass(container.id)
            return spec, ()
        async with self._turn() as (server, relay):
            self._known.add(container.id)
            try:
                adjusted, updates, evictions = await relay.create_container(
                    server, self._config, self._inject_cdi, sandbox, container, spec
                )
            except CricketError:
                await self._forget_container(server, relay, sandbox, container)
                raise
        self._wishes.evict_later(evictions)
        return adjusted, self._wishes.resolve(updates)

    async def post_create(self, sandbox: Sandbox, container: Container) -> None:
        """The container is created."""
        await self._notify("PostCreateContainer", sandbox, container)

    async def start_container(self, sandbox: Sandbox, container: Container) -> None:
        """The container is about to start. Raises PluginError."""
        if self.connected:
            spec = await self._read_spec(container.id)
            async with self._turn() as (server, relay):
                await relay.ask(server, "StartContainer", sandbox, container, spec)

    async def post_start(self, sandbox: Sandbox, container: Container) -> None:
        """The container runs."""
        await self._notify("PostStartContainer", sandbox, container)

    async def update_container(
        self, sandbox: Sandbox, container: Container, resources: Resources
    ) -> tuple[Resources, Sequence[Update]]:
        """The resources as plugins change them, and what other containers shall get. Raises PluginError, Conflict."""
        if not self.connected:
            return resources, ()
        spec = await self._read_spec(container.id)
        async with self._turn() as (server, relay):
            changed, updates, evictions = await relay.update_container(server, sandbox, container, spec, resources)
        self._wishes.evict_later(evictions)
        return changed, self._wishes.resolve(updates)

    async def post_update(self, sandbox: Sandbox, container: Container) -> None:
        """The container has its new resources."""
        await self._notify("PostUpdateContainer", sandbox, container)

    async def stop_container(self, sandbox: Sandbox, container: Container) -> Sequence[Update]:
        """The container has exited, by itself or not; what other containers shall get. Told once."""
        if not self.connected:
            return ()
        spec = await self._read_spec(container.id)
        async with self._turn() as (server, relay):
            if not self._known.stop(container.id):
                return ()
            updates = await relay.stop_container(server, sandbox, container, spec)
        return self._wishes.resolve(updates)

    async def remove_container(self, sandbox: Sandbox, container: Container) -> None:
        """The container is being removed, or its creation undone; told to have stopped first, if that was not told."""
        if self.connected:
            async with self._turn() as (server, relay):
                await self._forget_container(server, relay, sandbox, container)

    # inside

    @contextlib.asynccontextmanager
    async def _turn(self) -> AsyncIterator[tuple[Server, Any]]:
        assert self._server is not None  # `active` was true
        async with self._server.lock:
            yield self._server, self._relay

    async def _notify(self, method: str, sandbox: Sandbox, container: Container | None = None) -> None:
        if self.connected:
            spec = await self._read_spec(container.id) if container is not None else None
            async with self._turn() as (server, relay):
                await relay.notify(server, method, sandbox, container, spec)

    def _validate(self, sandbox: Sandbox, container: Container, spec: Spec) -> None:
        """Without any plugin, one that is required is missing."""
        if self._started and self._config.validate:
            pod, message = sandbox_message(sandbox), container_message(container, spec)
            validate(self._config, pod, message, Claims(container.id), [])

    def _pass(self, object_id: str) -> None:
        if self._started:
            self._known.passed(object_id, self._creating)

    def _creating(self) -> set[str]:
        sandboxes, containers = self._sync()
        ids = {box.id for box in sandboxes if box.state is SandboxState.CREATING}
        return ids | {each.id for each in containers if each.state is ContainerState.CREATING}

    async def _forget_sandbox(self, server: Server, relay: Any, sandbox: Sandbox) -> None:
        if self._known.stop(sandbox.id):
            await relay.notify(server, "StopPodSandbox", sandbox)
        if self._known.remove(sandbox.id):
            await relay.notify(server, "RemovePodSandbox", sandbox)

    async def _forget_container(self, server: Server, relay: Any, sandbox: Sandbox, container: Container) -> None:
        if self._known.stop(container.id):
            self._wishes.apply_later(await relay.stop_container(server, sandbox, container, None))
        if self._known.remove(container.id):
            await relay.notify(server, "RemoveContainer", sandbox, container)

    async def _accept(self, sock: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, _ = await loop.sock_accept(sock)
            except OSError as e:
                log.error("cannot accept NRI plugins: %s", e)
                await asyncio.sleep(1)
                continue
            (await self._load()).accept(connection)

    async def _load(self) -> Server:
        """The server; its modules are imported in a thread the first time, as that takes tens of milliseconds."""
        if self._server is None:
            self._relay = await asyncio.to_thread(importlib.import_module, "cricket.nri.relay")
            from cricket.nri.plugin import Runtime
            from cricket.nri.server import Server

            config = self._config
            runtime = Runtime(self._name, self._version, config.registration_timeout, config.request_timeout)
            forget = self._known.forget
            self._server = Server(runtime, self._snapshot, self._wishes.apply_later, forget, self._unsolicited)
        return self._server

    async def _read_spec(self, container_id: str) -> Spec | None:
        return (await asyncio.to_thread(self._read_specs, [container_id]))[container_id]

    def _read_specs(self, ids: Sequence[str]) -> dict[str, Spec | None]:
        found: dict[str, Spec | None] = dict.fromkeys(ids)
        if (spec_of := self._spec_of) is not None:
            for container_id in ids:
                with contextlib.suppress(CricketError):
                    found[container_id] = spec_of(container_id)
        return found

    async def _snapshot(self) -> tuple[Sequence[Spec], Sequence[Spec]]:
        sandboxes, containers = self._known.choose(*self._sync())

        def describe() -> tuple[Sequence[Spec], Sequence[Spec]]:
            specs = self._read_specs([each.id for each in containers])
            described: tuple[list[Spec], list[Spec]] = self._relay.messages(sandboxes, containers, specs)
            return described

        return await asyncio.to_thread(describe)

    async def _unsolicited(self, plugin: Plugin, updates: list[Spec], evictions: list[Spec]) -> list[Spec]:
        log.info("NRI plugin %s updates %d and evicts %d containers", plugin.name, len(updates), len(evictions))
        self._wishes.evict_later(evictions)
        return await self._wishes.apply(updates)
