"""One plugin: registration, configuration, synchronisation, and the calls that relay events to it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import msgspec

from cricket._proto.nri import api_pb2 as api
from cricket.errors import AlreadyExists, DeadlineExceeded, FailedPrecondition, InvalidArgument, Unimplemented
from cricket.kernel.process import Child
from cricket.nri.events import ALL_BITS, Event
from cricket.nri.names import check_name
from cricket.nri.plain import Plain, parse, to_plain
from cricket.nri.rpc import Connection, PluginError, PluginGone
from cricket.nri.sync_chunks import chunks
from cricket.types.stage import stage

log = logging.getLogger(__name__)

NRI_VERSION = "v0.12.0"
_UNIMPLEMENTED = 12


class Runtime(msgspec.Struct, frozen=True):
    """What a plugin is told about us; times in seconds."""

    name: str
    version: str
    registration_timeout: float
    request_timeout: float


UpdateContainers = Callable[["Plugin", list[Plain], list[Plain]], Awaitable[list[Plain]]]
"""Unsolicited updates and evictions of a plugin; returns the updates that failed."""


class Plugin:
    """A plugin at the other end of `connection`. `index` and `base` are "" until an external plugin has registered.

    `child` is the process of a pre-installed plugin, `config` the content of its configuration file.
    """

    def __init__(
        self,
        runtime: Runtime,
        update_containers: UpdateContainers,
        *,
        index: str = "",
        base: str = "",
        config: str = "",
    ) -> None:
        self.index, self.base, self.config = index, base, config
        self.child: Child | None = None
        self.connection = Connection(self._serve)
        self.events = 0
        self._runtime, self._update_containers = runtime, update_containers
        self._preset = bool(index)
        self._registered = asyncio.Event()
        self._state_change_only: set[int] = set()

    @property
    def name(self) -> str:
        """Index and name, as claims and logs show it."""
        return f"{self.index}-{self.base}" if self.index else "(unregistered)"

    @property
    def closed(self) -> bool:
        """Whether the connection has ended."""
        return self.connection.lost.done()

    def wants(self, event: Event) -> bool:
        """Whether the plugin is alive and has subscribed to the event."""
        return not self.closed and bool(self.events & event.bit)

    async def introduce(self) -> None:
        """Wait for the registration and configure; raises PluginGone, PluginError, DeadlineExceeded, InvalidArgument.

        A connection on which this fails is closed.
        """
        try:
            await self._wait_registered()
            await self._configure()
        except BaseException as e:
            self.connection.close(f"it could not be started: {e}")
            raise

    async def synchronize(self, pods: Sequence[Plain], containers: Sequence[Plain]) -> list[Plain]:
        """Tell the plugin of everything there is; returns the updates (plain) that it wants. Raises as `introduce`."""
        updates: list[Plain] = []
        parts = await asyncio.to_thread(lambda: list(chunks(pods, containers)))
        for number, part in enumerate(parts, 1):
            response = await self._call("Synchronize", part, api.SynchronizeResponse)
            updates += [to_plain(update) for update in response.update]
            if number < len(parts) and (updates or not response.more):
                raise FailedPrecondition("the plugin cannot take a synchronisation in parts", where=self.name)
        return updates

    async def relay(self, event: Event, request: bytes) -> Plain:
        """Deliver an event and return the plugin's response (plain).

        Raises PluginGone when the plugin is lost on the way, PluginError when it refuses.
        """
        if event.number in self._state_change_only:
            return await self._state_change(event, request)
        try:
            return to_plain(await self._call(event.method, request, event.response))
        except PluginError as e:
            if e.status != _UNIMPLEMENTED or not event.state_change:
                raise
            self._state_change_only.add(event.number)
            log.info("NRI plugin %s has no %s; it gets StateChange instead", self.name, event.method)
            return await self._state_change(event, request)

    async def shutdown(self, limit: float) -> None:
        """Tell the plugin that the runtime goes away and close the connection; errors do not matter. Idempotent."""
        if not self.closed:
            try:
                await self.connection.call("Shutdown", b"", limit)
            except (PluginError, PluginGone) as e:
                log.debug("NRI plugin %s: Shutdown: %s", self.name, e)
        self.connection.close("the runtime is shutting down")

    async def _state_change(self, event: Event, request: bytes) -> Plain:
        asked = parse(event.request, request)
        change = api.StateChangeEvent(event=api.Event.Name(event.number), pod=asked.pod)
        if "container" in event.request.DESCRIPTOR.fields_by_name:
            change.container.CopyFrom(asked.container)
        await self._call("StateChange", change.SerializeToString(), api.Empty)
        return {}

    async def _call(self, method: str, request: bytes, kind: Any) -> Any:
        with stage(f"NRI plugin {self.name} {method}"):
            answer = await self.connection.call(method, request, self._runtime.request_timeout)
        try:
            return parse(kind, answer)
        except InvalidArgument as e:
            self.connection.close(f"protocol error: {method}: {e}")
            raise PluginGone(f"{method}: {e}") from e

    async def _wait_registered(self) -> None:
        limit = self._runtime.registration_timeout
        waiters = {asyncio.ensure_future(self._registered.wait()), asyncio.ensure_future(_done(self.connection.lost))}
        try:
            await asyncio.wait(waiters, timeout=limit, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for waiter in waiters:
                waiter.cancel()
        if self.closed:
            raise PluginGone(self.connection.lost.result())
        if not self._registered.is_set():
            raise DeadlineExceeded(f"the plugin did not register in {limit:g} s")

    async def _configure(self) -> None:
        request = api.ConfigureRequest(
            config=self.config,
            runtime_name=self._runtime.name,
            runtime_version=self._runtime.version,
            registration_timeout=int(self._runtime.registration_timeout * 1000),
            request_timeout=int(self._runtime.request_timeout * 1000),
            NRI_version=NRI_VERSION,
        )
        response = await self._call("Configure", request.SerializeToString(), api.ConfigureResponse)
        if unknown := response.events & ~ALL_BITS:
            raise InvalidArgument(
                f"the plugin subscribes to unknown events (0x{unknown & 0xFFFFFFFF:x})", where=self.name
            )
        self.events = response.events or ALL_BITS

    async def _serve(self, method: str, payload: bytes) -> bytes:
        if method == "RegisterPlugin":
            self._register(parse(api.RegisterPluginRequest, payload))
            return b""
        if method == "UpdateContainers":
            if not self._registered.is_set():
                raise FailedPrecondition("the plugin has not registered")
            request = to_plain(parse(api.UpdateContainersRequest, payload))
            failed = await self._update_containers(self, request.get("update", []), request.get("evict", []))
            response = api.UpdateContainersResponse()
            for update in failed:
                response.failed.add(container_id=update.get("container_id", ""))
            return bytes(response.SerializeToString())
        raise Unimplemented(f"no method {method}")

    def _register(self, request: Any) -> None:
        if self._registered.is_set():
            raise AlreadyExists("the plugin has registered before", where=self.name)
        if not self._preset:
            check_name(request.plugin_idx, request.plugin_name)
            self.index, self.base = request.plugin_idx, request.plugin_name
        log.info("NRI plugin %s registers (NRI version %s)", self.name, request.NRI_version or "unknown")
        self._registered.set()


async def _done(future: asyncio.Future[str]) -> str:
    return await asyncio.shield(future)
