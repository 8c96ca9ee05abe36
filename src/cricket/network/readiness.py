"""Is the node's network ready? Follows the configuration directories, the installed plugins and STATUS."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence

from cricket.errors import CricketError, Unavailable
from cricket.network.conf import Loaded, NetworkConf, load
from cricket.network.negotiate import negotiate
from cricket.network.plugin import Plugins
from cricket.network.status import has_status, status
from cricket.network.watch import DirectoryWatch
from cricket.types.node import Condition

_INIT = "Install a CNI network, or run `cricket network init` for a default one"


class Readiness:
    """The default network as the directories hold it now, and whether it can be used.

    `default_network` names it, or is "" for the first by file name. STATUS is asked every `interval` seconds, only of
    networks of version 1.1.0 or later.
    """

    def __init__(self, conf_dirs: Sequence[str], plugins: Plugins, default_network: str, interval: float) -> None:
        self.conf_dirs, self.plugins = tuple(conf_dirs), plugins
        self._default_network, self._interval = default_network, interval
        self.loaded = Loaded()
        self.on_changed: Callable[[], None] = lambda: None
        self._watch: DirectoryWatch | None = None
        self._reloading: asyncio.Task[None] | None = None
        self._again = False
        self._assessing: asyncio.Task[None] | None = None
        self._assessed: NetworkConf | None = None
        self._trouble = ""

    def start(self) -> None:
        """Load the directories (blocks for small files) and follow them from now on. Raises ResourceExhausted."""
        self._watch = DirectoryWatch(self._changed)
        self._watch.arm(self.conf_dirs)
        self._take(load(self.conf_dirs))

    def stop(self) -> None:
        """Stop following. Idempotent."""
        for task in (self._reloading, self._assessing):
            if task is not None:
                task.cancel()
        self._reloading = self._assessing = None
        if self._watch is not None:
            self._watch.close()
            self._watch = None

    def reconfigure(self, conf_dirs: Sequence[str], plugins: Plugins, default_network: str) -> None:
        """Take new settings; a running watch follows the new directories at once."""
        self.conf_dirs, self.plugins, self._default_network = tuple(conf_dirs), plugins, default_network
        self._assessed = None
        if self._watch is not None:
            self._watch.arm(self.conf_dirs)
            self._take(load(self.conf_dirs))

    def default(self) -> NetworkConf | None:
        """The default network's configuration, before version negotiation."""
        return self.loaded.default(self._default_network)

    async def current(self) -> NetworkConf:
        """The default network with its negotiated version; looks at the directories again when there is none.

        Raises Unavailable without a configuration, FailedPrecondition when a plugin is missing or speaks no common
        version.
        """
        if self._watch is None or self.default() is None:
            self._take(await asyncio.to_thread(load, self.conf_dirs))
        conf = self.default()
        if conf is None:
            raise Unavailable(self._absent(), todo=_INIT)
        return await negotiate(conf, self.plugins)

    def condition(self) -> Condition:
        """NetworkReady with its reason. Looks whether the plugins are installed; waits for nothing."""
        conf = self.default()
        if conf is None:
            return _not_ready(f"{self._absent()}. {_INIT}{self._broken()}")
        missing = self.plugins.missing(conf)
        if missing:
            where = ", ".join(self.plugins.bin_dirs)
            text = f"network {conf.name} ({conf.path}) needs the CNI plugin {', '.join(missing)}, not found in {where}"
            return _not_ready(text + self._broken())
        if self._trouble:
            return _not_ready(f"network {conf.name}: {self._trouble}{self._broken()}")
        return Condition("NetworkReady", True, message=self._broken().lstrip(". "))

    def _absent(self) -> str:
        if self._default_network and self.loaded.networks:
            names = ", ".join(n.name for n in self.loaded.networks)
            return f"no network has the configured name {self._default_network} (there are: {names})"
        return f"no network configuration in {', '.join(self.conf_dirs)}"

    def _broken(self) -> str:
        if not self.loaded.broken:
            return ""
        # The reason names the file.
        return ". Ignored: " + "; ".join(reason for _, reason in self.loaded.broken)

    def _changed(self) -> None:
        if self._reloading is not None:
            self._again = True
        else:
            self._reloading = asyncio.ensure_future(self._reload())

    async def _reload(self) -> None:
        try:
            while True:
                self._again = False
                self._take(await asyncio.to_thread(load, self.conf_dirs))
                if not self._again:
                    return
        finally:
            self._reloading = None

    def _take(self, loaded: Loaded) -> None:
        before = self.default()
        self.loaded = loaded
        if self._watch is None:
            return
        # Plugins may be configured beside the list, in a directory named after the network.
        beside = [os.path.join(os.path.dirname(n.path), n.name) for n in loaded.networks]
        self._watch.arm([*self.conf_dirs, *(d for d in beside if os.path.isdir(d))])
        self._assess()
        if self.default() != before:
            self.on_changed()

    def _assess(self) -> None:
        """Ask for versions and STATUS in the background, when the configuration has changed."""
        conf = self.default()
        if conf is not None and conf == self._assessed:
            return
        self._assessed, self._trouble = conf, ""
        if self._assessing is not None:
            self._assessing.cancel()
            self._assessing = None
        if conf is not None:
            # Ready until a plugin says otherwise, milliseconds from now: a pod that comes too early is tried again.
            self._assessing = asyncio.ensure_future(self._keep_assessing(conf))

    async def _keep_assessing(self, conf: NetworkConf) -> None:
        while True:
            try:
                chosen = await negotiate(conf, self.plugins, ask=True)
                await status(chosen, self.plugins)
                self._trouble = ""
                if not has_status(chosen):
                    return
            except CricketError as e:
                # What is missing is told by condition() itself, and no longer once it is installed.
                self._trouble = "" if self.plugins.missing(conf) else str(e)
            await asyncio.sleep(self._interval)


def _not_ready(message: str) -> Condition:
    return Condition("NetworkReady", False, "NetworkPluginNotReady", message)
