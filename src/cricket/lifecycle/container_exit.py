"""What happens when a container's first process has exited."""

from __future__ import annotations

import logging

from cricket.errors import CricketError
from cricket.lifecycle import container_release, nri_updates, sandbox_stop
from cricket.lifecycle.clock import now
from cricket.lifecycle.parts import Parts
from cricket.monitor import conmon
from cricket.types.container import Container, ContainerEvent, ContainerState
from cricket.types.event import EventType
from cricket.types.sandbox import SandboxState

log = logging.getLogger(__name__)
_LIVE = (ContainerState.STARTING, ContainerState.RUNNING)


def listen(e: Parts) -> None:
    """Handle exits from now on."""

    def on_exit(object_id: str, code: int, when: int, message: str) -> None:
        if object_id in e.store.containers:
            e.ops.background(_exited(e, object_id, code, when, message), "clean up after an exit", object_id)
        elif object_id in e.store.sandboxes:
            e.ops.background(_init_exited(e, object_id), "clean up after an exit", object_id)

    e.processes.on_exit = on_exit
    e.processes.read_exit = e.exits.read
    e.processes.monitor_alive = lambda object_id: conmon.alive(e.layout.bundle(object_id))


async def _exited(e: Parts, container_id: str, code: int, when: int, message: str) -> None:
    try:
        # The lock makes an exit during StartContainer wait until the start is recorded.
        async with e.locks.hold(container_id):
            container = e.store.containers.get(container_id)
            if container is None or container.state not in _LIVE:
                return
            settle(e, container, code, when, message)
            await container_release.release(e, e.store.containers[container_id])
        if exited := e.store.containers.get(container_id):
            await nri_updates.stopped(e, exited)
    except CricketError as error:
        log.error("container %s has exited, but cleaning up after it failed: %s", container_id, error)


def settle(e: Parts, container: Container, code: int, when: int, message: str) -> None:
    """Record the exit, wake those who wait for it and tell the world. Never waits."""
    oom = container_release.oom_killed(e, container)
    exited = container.fire(
        ContainerEvent.EXITED,
        exit_code=code,
        finished_at=max(when, container.started_at + 1) if container.started_at else now(),
        reason="OOMKilled" if oom else ("Completed" if code == 0 else "Error"),
        message=message,
        pid=0,
    )
    e.store.put(exited)
    e.processes.settled(container.id)
    e.events.publish(container.id, container.sandbox_id, EventType.STOPPED)


async def _init_exited(e: Parts, sandbox_id: str) -> None:
    box = e.store.sandboxes.get(sandbox_id)
    e.processes.settled(sandbox_id)
    if box is None or box.state is not SandboxState.READY:
        return
    log.warning("the init of sandbox %s is gone; the sandbox is no longer ready", sandbox_id)
    try:
        await sandbox_stop.lost(e, sandbox_id)
    except CricketError as error:
        log.error("cleaning up after sandbox %s failed: %s", sandbox_id, error)
