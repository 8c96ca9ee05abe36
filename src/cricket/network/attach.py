"""ADD: attach a sandbox to a network (CNI SPEC section 3, "Adding an attachment")."""

from __future__ import annotations

import asyncio
import logging

import msgspec

from cricket.errors import CricketError
from cricket.network import cache, result
from cricket.network.attachment import Attachment, request
from cricket.network.conf import NetworkConf
from cricket.network.detach import detach_with
from cricket.network.plugin import PluginFailed, Plugins
from cricket.network.result import Json

log = logging.getLogger(__name__)


async def attach(conf: NetworkConf, attachment: Attachment, plugins: Plugins, cache_dir: str) -> Json:
    """Run the chain; returns the last plugin's result, which is cached durably by then.

    When a plugin fails, or the caller is cancelled, DEL runs over the chain before this returns; should that fail too,
    the cached intent stays, so that a later teardown or GC tries again. Raises CricketError kinds.
    """
    attachment.check()
    for absent in plugins.missing(conf):
        plugins.get(absent)  # before any effect: is all of it installed?
    await asyncio.to_thread(cache.write, cache_dir, conf, attachment, None, durable=False)
    progress = _Progress()
    try:
        answer = await _chain(conf, attachment, plugins, progress)
        await asyncio.to_thread(cache.write, cache_dir, conf, attachment, answer, durable=True)
        return answer
    except BaseException:
        await _undo(conf, attachment, plugins, cache_dir, progress)
        raise


class _Progress(msgspec.Struct):
    """How many plugins of the chain were called, and how many of these succeeded."""

    called: int = 0
    succeeded: int = 0


async def _chain(conf: NetworkConf, attachment: Attachment, plugins: Plugins, progress: _Progress) -> Json:
    previous: Json | None = None
    for plugin in conf.plugins:
        name = str(plugin["type"])
        net_conf = request(conf, plugin, attachment=attachment, previous=previous)
        progress.called += 1
        answer = await plugins.choose(net_conf).invoke("ADD", net_conf, attachment)
        try:
            previous = result.check(answer, conf.version)
        except CricketError as e:
            raise PluginFailed(name, "ADD", 6, "its answer is not a CNI result", str(e)) from e
        progress.succeeded += 1
    return previous or {}


async def _undo(
    conf: NetworkConf, attachment: Attachment, plugins: Plugins, cache_dir: str, progress: _Progress
) -> None:
    """DEL over the plugins that were called, to its end, however often the caller is cancelled meanwhile.

    The plugin that failed is asked to clean up too, but when it cannot (it may not even speak the version) the others
    are: else each retry of a kubelet would leak an address.
    """
    called = msgspec.structs.replace(conf, plugins=conf.plugins[: progress.called])
    failed = called.plugins[-1] if progress.called > progress.succeeded else None
    task = asyncio.ensure_future(detach_with(called, attachment, None, plugins, cache_dir, forgive=failed))
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError:
            continue  # the cancellation goes on when the cleanup is done: the caller raises again
    error = task.exception()
    if error is not None:
        log.warning("network %s: cleanup after a failed ADD of %s: %s", conf.name, attachment.container_id, error)
