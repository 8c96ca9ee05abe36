"""UpdatePodSandboxResources."""

from __future__ import annotations

import msgspec

from cricket.errors import FailedPrecondition
from cricket.lifecycle.parts import Parts
from cricket.types.resources import Resources
from cricket.types.sandbox import SandboxState


async def update(e: Parts, sandbox_id: str, overhead: Resources | None, resources: Resources | None) -> None:
    """Record the pod's new resources and tell NRI plugins; the kubelet has changed the pod's cgroup itself."""
    box = e.store.sandbox(sandbox_id)
    async with e.locks.hold(box.id):
        box = e.store.sandbox(box.id)
        if box.state is not SandboxState.READY:
            raise FailedPrecondition(f"the sandbox is {box.state}, not ready", where=box.id)
        if e.nri.active:
            await e.nri.update_sandbox(box, overhead, resources)
        changes = {"overhead": overhead or box.overhead, "resources": resources or box.resources}
        box = msgspec.structs.replace(box, **changes)
        e.store.put(box)
    if e.nri.active:
        await e.nri.post_update_sandbox(box)
