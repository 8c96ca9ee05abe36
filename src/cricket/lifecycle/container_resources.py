"""Changing the limits of one container."""

from __future__ import annotations

import msgspec

from cricket.errors import FailedPrecondition
from cricket.kernel.effects import effect
from cricket.lifecycle.parts import Parts
from cricket.oci.resources import linux_resources
from cricket.types.container import Container, ContainerState
from cricket.types.resources import Resources
from cricket.types.stage import stage


async def change(e: Parts, container_id: str, resources: Resources) -> Container:
    """Apply what `resources` sets to a created or running container; the record afterwards.

    Raises NotFound, FailedPrecondition, InvalidArgument, Internal; then nothing has changed.
    """
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
        container = msgspec.structs.replace(container, resources=merged)
        e.store.put(container)
        return container


def merge(old: Resources, new: Resources) -> Resources:
    """`new` where it sets something, else `old`; unified keys are merged one by one."""
    changes = {name: getattr(new, name) for name in Resources.__struct_fields__ if getattr(new, name)}
    if new.unified:
        changes["unified"] = {**old.unified, **new.unified}
    if "memory_limit" in changes and "memory_swap_limit" not in changes and old.memory_swap_limit:
        # Swap includes memory: what was allowed beyond memory stays as it was.
        beyond = max(0, old.memory_swap_limit - old.memory_limit)
        changes["memory_swap_limit"] = changes["memory_limit"] + beyond
    return msgspec.structs.replace(old, **changes)
