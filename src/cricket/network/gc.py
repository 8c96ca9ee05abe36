"""GC: take away what no sandbox owns any more (CNI SPEC section 3, "Garbage-collecting a network").

The caller holds the gate alone. Attachments that another runtime made (it may share the cache and the network) are
never detached, and count as valid as long as their namespace exists.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from cricket.errors import CricketError, Internal
from cricket.kernel.namespaces import is_pinned
from cricket.network import cache, versions
from cricket.network.attachment import NOWHERE, request
from cricket.network.conf import NetworkConf
from cricket.network.detach import detach_entry
from cricket.network.plugin import Plugins

Key = tuple[str, str]  # container id, interface name


async def collect(valid: Iterable[Key], conf: NetworkConf | None, plugins: Plugins, cache_dir: str) -> None:
    """DEL for our cached attachments that are not in `valid`, then GC of the network `conf` by its plugins.

    Tries everything and then raises Internal with all failures. Idempotent.
    """
    wanted, failures = set(valid), []
    await asyncio.to_thread(cache.sweep, cache_dir)
    for entry in await asyncio.to_thread(cache.read, cache_dir):
        a = entry.attachment
        if (a.container_id, a.ifname) in wanted or not entry.ours:
            continue
        if entry.conf is not None and entry.conf.disable_gc:
            continue
        try:
            await detach_entry(entry, "", conf, plugins, cache_dir)
        except CricketError as e:
            failures.append(f"{a.container_id}: {e}")
    if conf is not None and not conf.disable_gc and versions.at_least(conf.version, versions.GC_STATUS):
        entries = await asyncio.to_thread(cache.read, cache_dir)
        wanted |= {_key(e) for e in entries if e.network == conf.name and not e.ours and is_pinned(e.attachment.netns)}
        failures += await _by_plugins(conf, sorted(wanted), plugins)
    if failures:
        raise Internal("network garbage collection failed in part: " + "; ".join(failures))


def _key(entry: cache.Entry) -> Key:
    return entry.attachment.container_id, entry.attachment.ifname


async def _by_plugins(conf: NetworkConf, valid: list[Key], plugins: Plugins) -> list[str]:
    attachments = [{"containerID": c, "ifname": i} for c, i in valid]
    # The second name is that of early drafts, which libcni sends along too.
    extra = {"cni.dev/valid-attachments": attachments, "cni.dev/attachments": attachments}
    failures = []
    for plugin in conf.plugins:
        name = str(plugin["type"])
        try:
            if "1.1.0" in (await plugins.versions(name) or ()):
                await plugins.choose(plugin).invoke("GC", request(conf, plugin, extra=extra), NOWHERE)
        except CricketError as e:
            failures.append(str(e))
    return failures
