"""STATUS: can the plugins serve ADD? (CNI SPEC section 2, since 1.1.0)."""

from __future__ import annotations

from cricket.network import versions
from cricket.network.attachment import NOWHERE, request
from cricket.network.conf import NetworkConf
from cricket.network.plugin import Plugins


def has_status(conf: NetworkConf) -> bool:
    """Whether the network's version knows STATUS."""
    return versions.at_least(conf.version, versions.GC_STATUS)


async def status(conf: NetworkConf, plugins: Plugins) -> None:
    """Ask each plugin that speaks 1.1.0; the first that is not ready raises PluginFailed. Success before 1.1.0."""
    if not has_status(conf):
        return
    for plugin in conf.plugins:
        name = str(plugin["type"])
        if "1.1.0" in (await plugins.versions(name) or ()):
            await plugins.choose(plugin).invoke("STATUS", request(conf, plugin), NOWHERE)
