"""CHECK: is the attachment still as ADD made it? (CNI SPEC section 3, "Checking an attachment")."""

from __future__ import annotations

import msgspec

from cricket.errors import FailedPrecondition
from cricket.network import cache, result, versions
from cricket.network.attachment import request
from cricket.network.plugin import Plugins


async def check_entry(entry: cache.Entry, netns: str, plugins: Plugins) -> None:
    """Run CHECK over the chain of a cached attachment.

    Versions before 0.4.0 have no CHECK and `disableCheck` forbids it: success. Raises PluginFailed of the plugin that
    is not content, FailedPrecondition when ADD has not ended.
    """
    where = entry.attachment.container_id
    if entry.conf is None or entry.result is None:
        raise FailedPrecondition(f"the attachment to network {entry.network} is incomplete", where=where)
    conf = entry.conf
    named = entry.result.get("cniVersion")
    if isinstance(named, str) and named in conf.versions:
        conf = msgspec.structs.replace(conf, version=named)
    if conf.disable_check or not versions.at_least(conf.version, versions.CHECK):
        return
    attachment = msgspec.structs.replace(entry.attachment, netns=netns or entry.attachment.netns)
    previous = result.check(entry.result, conf.version)
    for plugin in conf.plugins:
        net_conf = request(conf, plugin, attachment=attachment, previous=previous)
        await plugins.choose(net_conf).invoke("CHECK", net_conf, attachment)
