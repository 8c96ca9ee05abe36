"""StartContainer."""

from __future__ import annotations

import logging
import os

from cricket.errors import FailedPrecondition, Internal
from cricket.kernel.files import make_dir
from cricket.lifecycle import checkpoint_restore, container_release, nri_updates
from cricket.lifecycle.clock import now
from cricket.lifecycle.parts import Parts
from cricket.monitor.conmon import MonitorSpec
from cricket.types.container import Container, ContainerEvent, ContainerState
from cricket.types.event import EventType
from cricket.types.sandbox import SandboxState
from cricket.types.stage import stage

log = logging.getLogger(__name__)
START_ERROR = 128


async def start(e: Parts, container_id: str) -> None:
    """Start a created container; a running one is left as it is. A failure leaves EXITED, 128, StartError."""
    container = e.store.container(container_id)
    await e.ops.join(("start", container.id), lambda: _start(e, container.id))


async def _start(e: Parts, container_id: str) -> None:
    async with e.locks.hold(container_id):
        container = e.store.container(container_id)
        if container.state is ContainerState.RUNNING:
            return
        box = e.store.sandboxes.get(container.sandbox_id)
        if box is None or box.state is not SandboxState.READY:
            raise FailedPrecondition("the container's sandbox is not ready", where=container.sandbox_id)
        if container.state is ContainerState.EXITED:
            raise FailedPrecondition(
                "the container has ended, and a container runs only once",
                where=container.id,
                todo="Create another one, with the next attempt.",
            )
        # By the time that the runtime has been loaded and needs it, the kernel is ready.
        e.moves.soon()
        container = container.fire(ContainerEvent.START, boot_id=e.boot_id)
        e.store.put(container)
        try:
            if e.nri.active:
                await e.nri.start_container(box, container)
            pid = await _run(e, container)
        except BaseException as error:
            await _failed(e, container, error)
            raise
        container = container.fire(ContainerEvent.STARTED, pid=pid, started_at=now())
        e.store.put(container)
        e.events.publish(container_id, container.sandbox_id, EventType.STARTED)
        # An exit during the start waits for the lock; watching only now reports it in order.
        e.processes.add(container_id, pid)
    if container.restore_from:
        await checkpoint_restore.settle(e, container)
    if e.nri.active:
        await e.nri.post_start(box, container)


async def _run(e: Parts, container: Container) -> int:
    handler = e.handlers.of(container.handler)
    bundle = e.layout.bundle(container.id)
    if container.log_path:
        make_dir(os.path.dirname(container.log_path))
    e.exits.forget(container.id)
    spec = MonitorSpec(
        container_id=container.id,
        name=container.config.metadata.name or container.id,
        bundle=bundle,
        log_path=container.log_path or "/dev/null",
        runtime=handler.runtime.binary,
        # Without a file of its own, what the runtime warns of would be in the container's log.
        runtime_args=(*handler.runtime.global_args, f"--log={bundle}/runtime.log"),
        terminal=container.config.tty,
        stdin=container.config.stdin,
        stdin_once=container.config.stdin_once,
        restore=e.layout.checkpoint(container.id) if container.restore_from else "",
    )
    with stage("runtime create", container.id):
        try:
            pid = await e.monitor.create(spec)
        except Internal as error:
            if not container.restore_from:
                raise
            await checkpoint_restore.explain(e, container, error)
    if not container.restore_from:
        with stage("runtime start", container.id):
            await handler.runtime.start(container.id)
    return pid


async def _failed(e: Parts, container: Container, error: BaseException) -> None:
    """Leave nothing of the process, and a record that says why."""
    try:
        await container_release.release(e, container)
    except Exception as second:  # whatever it was, the record must say that the start has failed
        log.error("cleaning up after a failed start of %s failed, too: %s", container.id, second)
    moment = now()
    e.store.put(
        container.fire(
            ContainerEvent.FAILED,
            exit_code=START_ERROR,
            reason="StartError",
            message=str(error) or type(error).__name__,
            started_at=moment,
            finished_at=moment,
        )
    )
    e.events.publish(container.id, container.sandbox_id, EventType.STOPPED)
    await nri_updates.stopped(e, e.store.containers[container.id])
