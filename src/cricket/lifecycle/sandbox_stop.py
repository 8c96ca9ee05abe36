"""StopPodSandbox."""

from __future__ import annotations

import asyncio
import contextlib

from cricket.errors import NotFound
from cricket.lifecycle import container_stop, sandbox_purge
from cricket.lifecycle.parts import Parts
from cricket.types.container import ContainerState
from cricket.types.event import EventType
from cricket.types.sandbox import SandboxEvent, SandboxState


async def stop(e: Parts, sandbox_id: str) -> None:
    """Kill the containers and release the network; the sandbox is NotReady from the first moment. Idempotent."""
    try:
        box = e.store.sandbox(sandbox_id)
    except NotFound:
        return
    await e.ops.join(("stop", box.id), lambda: _stop(e, box.id))


async def _stop(e: Parts, sandbox_id: str) -> None:
    async with e.locks.hold(sandbox_id):
        box = e.store.sandboxes.get(sandbox_id)
        if box is None or box.state in (SandboxState.STOPPED, SandboxState.REMOVING, SandboxState.CREATING):
            return
        box = box.fire(SandboxEvent.STOP)
        e.store.put(box)
        await kill_containers(e, sandbox_id)
        if e.nri.active:
            await e.nri.stop_sandbox(box)
        await sandbox_purge.release(e, box)
        e.store.put(box.fire(SandboxEvent.STOPPED, init_pid=0, released=True))
    e.events.publish(sandbox_id, sandbox_id, EventType.STOPPED)


async def kill_containers(e: Parts, sandbox_id: str) -> None:
    """Stop all containers of a sandbox at once, without grace; raises the first failure after all were tried."""
    # One that is being made finds the sandbox stopped and removes itself; on a path that hangs that may take for ever.
    members = [c for c in e.store.members(sandbox_id) if c.state is not ContainerState.CREATING]
    results = await asyncio.gather(*(container_stop.stop(e, c.id, 0) for c in members), return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result


async def lost(e: Parts, sandbox_id: str) -> None:
    """The sandbox's init died or its namespaces are gone: make it NotReady and clean up."""
    with contextlib.suppress(NotFound):
        await e.ops.join(("stop", sandbox_id), lambda: _stop(e, sandbox_id))
