"""Events with our records, turned into NRI's messages and relayed. Loaded when the first plugin connects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from cricket._proto.nri import api_pb2 as api
from cricket.config import model
from cricket.nri import create, events
from cricket.nri.apply import InjectCdi, apply
from cricket.nri.events import Event
from cricket.nri.from_records import container_message, overlay, resources_message, sandbox_message
from cricket.nri.merge_updates import Updates
from cricket.nri.plain import Plain, serialize
from cricket.nri.server import Server
from cricket.nri.wishes import warn_ignored
from cricket.types.container import Container
from cricket.types.resources import Resources
from cricket.types.sandbox import Sandbox

_EVENTS: dict[str, Event] = {event.method: event for event in vars(events).values() if isinstance(event, Event)}


async def ask(server: Server, method: str, sandbox: Sandbox, container: Container | None, spec: Plain | None) -> None:
    """Relay an event that plugins may refuse (PluginError). The caller holds the server's lock."""
    event = _EVENTS[method]
    await server.ask(event, serialize(event.request, _request(sandbox, container, spec)))


async def notify(
    server: Server, method: str, sandbox: Sandbox, container: Container | None = None, spec: Plain | None = None
) -> None:
    """Relay an event that plugins cannot refuse. The caller holds the server's lock."""
    event = _EVENTS[method]
    await server.notify(event, serialize(event.request, _request(sandbox, container, spec)))


async def update_sandbox(
    server: Server, sandbox: Sandbox, overhead: Resources | None, resources: Resources | None
) -> None:
    """Relay UpdatePodSandbox, which plugins may refuse (PluginError)."""
    request: Plain = {"pod": sandbox_message(sandbox)}
    if overhead is not None:
        request["overhead_linux_resources"] = resources_message(overhead)
    if resources is not None:
        request["linux_resources"] = resources_message(resources)
    await server.ask(events.UPDATE_POD, serialize(api.UpdatePodSandboxRequest, request))


async def create_container(
    server: Server, rules: model.Nri, inject_cdi: InjectCdi | None, sandbox: Sandbox, container: Container, spec: Plain
) -> tuple[Plain, list[Plain], list[Plain]]:
    """Relay CreateContainer: the adjusted spec, updates of other containers and evictions (plain)."""
    wanted = await create.create(server, rules, sandbox_message(sandbox), container_message(container, spec))
    return apply(spec, wanted.adjust, inject_cdi), wanted.updates, wanted.evictions


async def update_container(
    server: Server, sandbox: Sandbox, container: Container, spec: Plain | None, resources: Resources
) -> tuple[Resources, list[Plain], list[Plain]]:
    """Relay UpdateContainer: the resources as plugins changed them, updates of other containers and evictions."""
    updates = Updates(updating=container.id, requested=resources_message(resources))
    evictions: list[Plain] = []
    request = _request(sandbox, container, spec)
    for plugin in list(server.plugins):
        request["linux_resources"] = updates.requested
        answer = await server.deliver(plugin, events.UPDATE, serialize(api.UpdateContainerRequest, request))
        if answer is not None:
            updates.merge(answer.get("update", []), plugin.name)
            evictions += answer.get("evict", [])
    changed, ignored = overlay(resources, updates.own_change())
    warn_ignored(container.id, ignored)
    return changed, updates.of_others(), evictions


async def stop_container(server: Server, sandbox: Sandbox, container: Container, spec: Plain | None) -> list[Plain]:
    """Relay StopContainer; the updates of other containers that plugins want. No plugin can refuse."""
    updates = Updates()
    request = serialize(api.StopContainerRequest, _request(sandbox, container, spec))
    for plugin, answer in await server.notify(events.STOP, request):
        updates.merge([{**update, "ignore_failure": True} for update in answer.get("update", [])], plugin.name)
    return updates.of_others()


def messages(
    sandboxes: Sequence[Sandbox], containers: Sequence[Container], specs: Mapping[str, Plain | None]
) -> tuple[list[Plain], list[Plain]]:
    """What a joining plugin is told."""
    return (
        [sandbox_message(each) for each in sandboxes],
        [container_message(each, specs.get(each.id)) for each in containers],
    )


def _request(sandbox: Sandbox, container: Container | None, spec: Plain | None) -> Plain:
    request: Plain = {"pod": sandbox_message(sandbox)}
    if container is not None:
        request["container"] = container_message(container, spec)
    return request
