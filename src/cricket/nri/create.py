"""CreateContainer: plugins adjust the container one after the other, then validators see the sum of it."""

from __future__ import annotations

import asyncio

import msgspec

from cricket._proto.nri import api_pb2 as api
from cricket.config import model
from cricket.errors import Internal, PermissionDenied
from cricket.nri import events
from cricket.nri.adjust import Adjustments
from cricket.nri.merge_updates import Updates
from cricket.nri.plain import Plain, serialize
from cricket.nri.plugin import Plugin
from cricket.nri.rpc import PluginError
from cricket.nri.server import Server
from cricket.nri.validator import validate


class Created(msgspec.Struct, frozen=True):
    """What the plugins want: the merged `ContainerAdjustment`, `ContainerUpdate`s of others, `ContainerEviction`s."""

    adjust: Plain
    updates: list[Plain]
    evictions: list[Plain]


async def create(server: Server, rules: model.Nri, pod: Plain, container: Plain) -> Created:
    """Ask every plugin about the container (NRI message, plain). The caller holds the server's lock.

    Raises Conflict when two plugins disagree, PluginError when one refuses, PermissionDenied when a validator rejects.
    """
    adjustments = Adjustments(container)
    updates = Updates(creating=container["id"])
    evictions: list[Plain] = []
    consulted: list[Plugin] = []
    for plugin in list(server.plugins):
        consulted.append(plugin)
        if not plugin.wants(events.CREATE):
            continue
        request = serialize(api.CreateContainerRequest, {"pod": pod, "container": adjustments.container})
        answer = await server.deliver(plugin, events.CREATE, request)
        if answer is None:
            consulted.remove(plugin)
            continue
        adjustments.merge(answer.get("adjust", {}), plugin.name)
        updates.merge(answer.get("update", []), plugin.name)
        evictions += answer.get("evict", [])
    if rules.validate:
        validate(rules, pod, container, adjustments.claims, [plugin.base for plugin in consulted])
    await _validate(server, pod, container, adjustments, updates, consulted)
    return Created(adjustments.result(), updates.of_others(), evictions)


async def _validate(
    server: Server, pod: Plain, container: Plain, adjustments: Adjustments, updates: Updates, consulted: list[Plugin]
) -> None:
    validators = [plugin for plugin in server.plugins if plugin.wants(events.VALIDATE)]
    if not validators:
        return
    owners = {container["id"]: adjustments.claims.to_plain()}
    owners |= {target: claims.to_plain() for target, claims in updates.claims.items()}
    request = serialize(
        api.ValidateContainerAdjustmentRequest,
        {
            "pod": pod,
            "container": container,
            "adjust": adjustments.result(),
            "update": updates.of_others(),
            "owners": {"owners": owners},
            "plugins": [{"name": plugin.base, "index": plugin.index} for plugin in consulted],
        },
    )
    results = await asyncio.gather(*(_ask(server, each, request) for each in validators), return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result


async def _ask(server: Server, validator: Plugin, request: bytes) -> None:
    """A validator that is lost, or fails, has not approved."""
    try:
        answer = await server.deliver(validator, events.VALIDATE, request)
    except PluginError as e:
        raise PermissionDenied(e.what) from e
    if answer is None:
        raise Internal("a validating NRI plugin was lost while it was asked", where=validator.name)
    if answer.get("reject"):
        raise PermissionDenied(f"NRI plugin {validator.name} rejects the container: {answer.get('reason', '')}")
