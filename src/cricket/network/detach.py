"""DEL: detach a sandbox (CNI SPEC section 3, "Deleting an attachment")."""

from __future__ import annotations

import asyncio
import logging

import msgspec

from cricket.errors import CricketError
from cricket.kernel.namespaces import is_pinned
from cricket.network import cache, result, versions
from cricket.network.attachment import Attachment, request
from cricket.network.conf import NetworkConf
from cricket.network.plugin import INCOMPATIBLE, UNKNOWN_CONTAINER, PluginFailed, Plugins
from cricket.network.result import Json

log = logging.getLogger(__name__)

# containerd's loopback goes through a plugin and is cached; there is nothing to undo.
_LOOPBACK = "cni-loopback"


async def detach(
    container_id: str, netns: str, fallback: NetworkConf | None, known: Attachment, plugins: Plugins, cache_dir: str
) -> None:
    """Undo every cached attachment of the container, last interface first; without a cached one, `known` on `fallback`.

    Idempotent. Works with the configuration and arguments of the time of ADD, and when the namespace is gone (CNI_NETNS
    is empty then). An entry is forgotten when its plugins have succeeded. Raises CricketError kinds.
    """
    entries = await asyncio.to_thread(cache.read, cache_dir, container_id)
    for entry in reversed(entries):
        await detach_entry(entry, netns, fallback, plugins, cache_dir)
    if entries or fallback is None:
        return
    # Nothing says that it was ever attached: only when the cache was lost is there something to undo.
    absent = plugins.missing(fallback)
    if absent:
        log.warning("network %s: no DEL of %s, as %s is missing", fallback.name, container_id, ", ".join(absent))
        return
    await detach_with(fallback, msgspec.structs.replace(known, netns=netns), None, plugins, cache_dir)


async def detach_entry(
    entry: cache.Entry, netns: str, fallback: NetworkConf | None, plugins: Plugins, cache_dir: str
) -> None:
    """Undo one cached attachment; `netns` "" means the path of the time of ADD. Raises CricketError kinds."""
    attachment = msgspec.structs.replace(entry.attachment, netns=netns or entry.attachment.netns)
    conf = entry.conf
    if conf is None and fallback is not None and fallback.name == entry.network:
        conf = fallback
    if conf is None or entry.network == _LOOPBACK:
        if conf is None:
            log.warning("network %s: the cached configuration of %s is lost", entry.network, attachment.container_id)
        await asyncio.to_thread(cache.remove, cache_dir, entry.network, attachment)
        return
    conf = _version_of_add(conf, entry.result)
    await detach_with(conf, attachment, entry.result, plugins, cache_dir)


async def detach_with(
    conf: NetworkConf,
    attachment: Attachment,
    previous: Json | None,
    plugins: Plugins,
    cache_dir: str,
    *,
    forgive: Json | None = None,
) -> None:
    """DEL over the chain in reverse, then forget the cached entry.

    The first failure ends it, as the specification wants: an address that is released while a later plugin's rules
    still point to it would lead traffic into another pod. Failures of the plugin `forgive` (whose ADD failed) are only
    logged; and without a result of ADD a plugin that does not speak the version cannot have done anything.
    """
    harmless = {UNKNOWN_CONTAINER} if previous is not None else {UNKNOWN_CONTAINER, INCOMPATIBLE}
    if attachment.netns and not is_pinned(attachment.netns):
        attachment = msgspec.structs.replace(attachment, netns="")
    if previous is not None:
        previous = _previous(conf, previous)
    for plugin in reversed(conf.plugins):
        net_conf = request(conf, plugin, attachment=attachment, previous=previous)
        try:
            await plugins.choose(net_conf).invoke("DEL", net_conf, attachment)
        except CricketError as e:
            if isinstance(e, PluginFailed) and e.cni_code in harmless:
                continue
            if plugin is not forgive:
                raise
            log.warning("network %s: cleanup of %s: %s", conf.name, attachment.container_id, e)
    await asyncio.to_thread(cache.remove, cache_dir, conf.name, attachment)


def _version_of_add(conf: NetworkConf, cached: Json | None) -> NetworkConf:
    """With several declared versions, the one that ADD had settled on: its result names it."""
    named = (cached or {}).get("cniVersion")
    return msgspec.structs.replace(conf, version=named) if isinstance(named, str) and named in conf.versions else conf


def _previous(conf: NetworkConf, cached: Json) -> Json | None:
    """prevResult for DEL, None when the version has none or the cached result is damaged."""
    if not versions.at_least(conf.version, versions.CHECK):
        return None
    try:
        return result.check(cached, conf.version)
    except CricketError:
        return None
