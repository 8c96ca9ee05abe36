"""All plugins: connecting and synchronising them, and delivering events to them in the order of their indices."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable, Sequence

from cricket.errors import CricketError
from cricket.kernel.process import Child
from cricket.nri import preinstalled
from cricket.nri.events import Event
from cricket.nri.plain import Plain
from cricket.nri.plugin import Plugin, Runtime, UpdateContainers
from cricket.nri.rpc import PluginError, PluginGone

log = logging.getLogger(__name__)

_SHUTDOWN = 1.0  # seconds for a plugin to take leave, and again for a pre-installed one to exit
_MAX_JOINING = 32

Snapshot = Callable[[], Awaitable[tuple[Sequence[Plain], Sequence[Plain]]]]
"""Pods and containers as a joining plugin shall see them."""


class Server:
    """The plugins, ordered by index. `lock` is held while an event is relayed and while a plugin joins.

    So a plugin that joins sees each pod and container either in its synchronisation or by events, never neither.
    `joined` takes the updates that a plugin asked for when it was synchronised; `emptied` is called when the last
    plugin has gone.
    """

    def __init__(
        self,
        runtime: Runtime,
        snapshot: Snapshot,
        joined: Callable[[list[Plain]], None],
        emptied: Callable[[], None],
        update: UpdateContainers,
    ) -> None:
        self.lock = asyncio.Lock()
        self.plugins: list[Plugin] = []
        self.joining = 0
        self._runtime, self._snapshot, self._update = runtime, snapshot, update
        self._joined, self._emptied = joined, emptied
        self._children: list[Child] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._stopping = False

    @property
    def busy(self) -> bool:
        """Whether anybody listens: a plugin is connected or about to be synchronised."""
        return bool(self.plugins) or self.joining > 0

    def accept(self, sock: socket.socket) -> None:
        """Let an external plugin join; returns at once."""
        if len(self._tasks) >= _MAX_JOINING or self._stopping:
            log.warning("an NRI plugin is refused: too many connect at once")
            sock.close()
            return
        task = asyncio.get_running_loop().create_task(self._join(Plugin(self._runtime, self._update), sock))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def launch(self, found: preinstalled.Preinstalled) -> None:
        """Start a pre-installed plugin; it is synchronised when this returns. Failures are logged."""
        plugin = Plugin(self._runtime, self._update, index=found.index, base=found.base, config=found.config)
        try:
            plugin.child, sock = preinstalled.launch(found)
        except CricketError as e:
            log.warning("NRI plugin %s cannot be started: %s", found.path, e)
            return
        self._children.append(plugin.child)
        await self._join(plugin, sock)

    async def stop(self) -> None:
        """Take leave of every plugin; pre-installed ones are ended. Idempotent."""
        self._stopping = True
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        plugins, self.plugins = self.plugins, []
        await asyncio.gather(*(plugin.shutdown(_SHUTDOWN) for plugin in plugins))
        children, self._children = self._children, []
        await asyncio.gather(*(_end(child) for child in children))

    async def deliver(self, plugin: Plugin, event: Event, request: bytes) -> Plain | None:
        """Deliver the event to one plugin; None when it has not subscribed or is lost. Raises PluginError.

        The caller holds `lock`, and goes through `plugins` in their order.
        """
        if not plugin.wants(event):
            return None
        try:
            return await plugin.relay(event, request)
        except PluginGone as e:
            self._leave(plugin, f"{event.method}: {e}")
            return None
        except PluginError as e:
            error = PluginError(f"NRI plugin {plugin.name} refuses {event.method}: {e.what}")
            error.status = e.status
            raise error from e

    async def ask(self, event: Event, request: bytes) -> None:
        """Deliver an event that plugins may refuse; raises the first PluginError. The caller holds `lock`."""
        for plugin in list(self.plugins):
            await self.deliver(plugin, event, request)

    async def notify(self, event: Event, request: bytes) -> list[tuple[Plugin, Plain]]:
        """Deliver an event that nobody can refuse, and return the answers. Errors are logged; every plugin gets it."""
        answers = []
        for plugin in list(self.plugins):
            try:
                answer = await self.deliver(plugin, event, request)
            except PluginError as e:
                log.warning("%s", e.what)
                continue
            if answer is not None:
                answers.append((plugin, answer))
        return answers

    async def _join(self, plugin: Plugin, sock: socket.socket) -> None:
        """Introduce and synchronise a plugin, then count it in; one that fails is logged and dropped."""
        plugin.connection.lost.add_done_callback(lambda lost: self._leave(plugin, lost.result()))
        try:
            await asyncio.get_running_loop().create_connection(lambda: plugin.connection, sock=sock)
            await plugin.introduce()
            updates = await self._synchronize(plugin)
        except CricketError as e:
            plugin.connection.close(str(e))
            log.warning("NRI plugin %s does not join: %s", plugin.name, e)
        except BaseException:
            plugin.connection.close("the runtime is shutting down")
            raise
        else:
            log.info("NRI plugin %s is connected", plugin.name)
            self._joined(updates)

    async def _synchronize(self, plugin: Plugin) -> list[Plain]:
        self.joining += 1
        try:
            async with self.lock:
                pods, containers = await self._snapshot()
                updates = await plugin.synchronize(pods, containers)
                if not plugin.closed:
                    self.plugins.append(plugin)
                    self.plugins.sort(key=lambda each: each.index)
                return updates
        finally:
            self.joining -= 1
            self._tell_if_empty()

    def _leave(self, plugin: Plugin, reason: str) -> None:
        """Drop a plugin whose connection has ended. Idempotent."""
        if plugin in self.plugins:
            self.plugins.remove(plugin)
            log.warning("NRI plugin %s is gone: %s", plugin.name, reason)
            self._tell_if_empty()
        if plugin.child is not None and not self._stopping:
            plugin.child.kill()

    def _tell_if_empty(self) -> None:
        if not self.busy:
            self._emptied()


async def _end(child: Child) -> None:
    """A pre-installed plugin exits when its connection ends; if not, it is killed."""
    try:
        await asyncio.wait_for(child.wait(), _SHUTDOWN)
    except TimeoutError:
        child.kill()
        await child.wait()
