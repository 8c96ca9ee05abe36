"""UpdateContainerResources."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from cricket.errors import FailedPrecondition
from cricket.kernel.effects import effect
from cricket.lifecycle.parts import Parts
from cricket.oci.resources import linux_resources
from cricket.types.container import ContainerState
from cricket.types.resources import Resources
from cricket.types.stage import stage


async def update(e: Parts, container_id: str, resources: Resources, annotations: Mapping[str, str]) -> None:
    """Change the limits of a created or running container; what is unset stays. On failure nothing changed."""
    container = e.store.container(container_id)
    updates: list[tuple[str, Resources]] = []
    box = e.store.sandboxes.get(container.sandbox_id)
    if e.nri.active and box is not None:
        resources, more = await e.nri.update_container(box, container, resources)
        updates += more
    await _update(e, container.id, resources)
    for other, changed in updates:
        await _update(e, other, changed)


async def _update(e: Parts, container_id: str, resources: Resources) -> None:
    async with e.locks.hold(container_id):
        container = e.store.container(container_id)
        if container.state not in (ContainerState.CREATED, ContainerState.RUNNING):
            raise FailedPrecondition(f"the container is {container.state}", where=container_id)
        merged = merge(container.resources, resources)
        wanted = linux_resources(merged, e.host)
        if container.state is ContainerState.RUNNING:
            with stage("runtime update", container_id):
                await e.handlers.of(container.handler).runtime.update(container_id, wanted)
            effect("runtime update")
        spec = e.bundles.read(container_id)
        linux = spec["linux"]
        linux["resources"] = {**linux.get("resources", {}), **wanted}
        e.bundles.write(container_id, spec)
        e.store.put(msgspec.structs.replace(container, resources=merged))


def merge(old: Resources, new: Resources) -> Resources:
    """`new` where it sets something, else `old`; unified keys are merged one by one."""
    changes = {name: getattr(new, name) for name in Resources.__struct_fields__ if getattr(new, name)}
    if new.unified:
        changes["unified"] = {**old.unified, **new.unified}
    return msgspec.structs.replace(old, **changes)


async def apply(e: Parts, updates: list[tuple[str, Resources]]) -> None:
    """Updates that NRI plugins ask for; containers that have gone are passed over."""
    for container_id, resources in updates:
        if container_id in e.store.containers:
            await _update(e, container_id, resources)
