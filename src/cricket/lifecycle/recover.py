"""What the daemon does before it serves: make the records agree with what is left of the last life.

The daemon may have died between any two effects, or the machine with it. Every step here is one that a verb would take;
what takes long (networks, mounts) goes on in the background after serving has begun.
"""

from __future__ import annotations

import asyncio
import logging

from cricket.errors import CricketError, DeadlineExceeded
from cricket.kernel.proc import belongs
from cricket.lifecycle import (
    clock,
    container_checkpoint,
    container_exit,
    container_purge,
    container_release,
    orphans,
    sandbox_finish,
    sandbox_namespaces,
)
from cricket.lifecycle.parts import Parts
from cricket.lifecycle.process_watch import UNKNOWN_EXIT
from cricket.monitor import conmon
from cricket.types.container import Container, ContainerEvent, ContainerState
from cricket.types.sandbox import Sandbox, SandboxEvent, SandboxState

log = logging.getLogger(__name__)
_PATIENCE = 10.0  # seconds for which serving waits for containers to be recovered
_REBOOTED = "the machine was restarted while the container ran"


async def recover(e: Parts) -> None:
    """Bring records and reality together. Never fails: what cannot be cleaned up now is tried again."""
    times = [b.created_at for b in e.store.sandboxes.values()]
    times += [max(c.created_at, c.finished_at) for c in e.store.containers.values()]
    clock.not_before(max(times, default=0))
    e.exits.start()
    container_exit.listen(e)
    await container_checkpoint.recover(e)
    work = [
        e.ops.background(_container(e, container.id), "recover", container.id)
        for container in list(e.store.containers.values())
    ]
    if work:
        # What hangs (a runtime, a file server) must not keep the others waiting: its verbs wait for its lock.
        await asyncio.wait(work, timeout=_PATIENCE)
    for box in list(e.store.sandboxes.values()):
        _sandbox(e, box)
    await e.warm.adopt()
    await orphans.sweep(e)


async def _container(e: Parts, container_id: str) -> None:
    # Exits that are told meanwhile wait for the lock, too.
    async with e.locks.hold(container_id):
        container = e.store.containers.get(container_id)
        if container is not None:
            await _recover(e, container)


async def _recover(e: Parts, container: Container) -> None:
    state = container.state
    try:
        if state is ContainerState.STARTING:
            await _interrupted_start(e, container)
        elif state is ContainerState.RUNNING:
            await _running(e, container)
        elif state is ContainerState.CREATED and container.boot_id != e.boot_id:
            # Its mounts are gone with the old boot, and its sandbox can no longer be made ready.
            container_exit.settle(e, container, UNKNOWN_EXIT, clock.now(), _REBOOTED)
        elif state in (ContainerState.CREATING, ContainerState.REMOVING):
            await container_purge.purge(e, container.id)
        if e.store.containers.get(container.id, container).state is ContainerState.EXITED:
            await container_release.release(e, container)
    except CricketError as error:
        log.error("container %s (%s) could not be recovered fully: %s", container.id, state, error)


async def _running(e: Parts, container: Container) -> None:
    if container.boot_id != e.boot_id:
        container_exit.settle(e, container, UNKNOWN_EXIT, clock.now(), _REBOOTED)
        return
    exited = e.exits.read(container.id)
    if exited is None and belongs(container.pid, container.id):
        e.processes.add(container.id, container.pid)
        return
    if exited is None:
        try:
            await conmon.gone(e.layout.bundle(container.id))
        except DeadlineExceeded:
            # It hangs; its end, or that of patience, is told as any other exit.
            e.processes.lost(container.id, container.pid)
            return
        exited = e.exits.read(container.id)
    if exited is not None:
        container_exit.settle(e, container, *exited, "")
    else:
        message = "the process is gone and its monitor told no exit code"
        container_exit.settle(e, container, UNKNOWN_EXIT, clock.now(), message)


async def _interrupted_start(e: Parts, container: Container) -> None:
    """Either the process runs, then the start is completed in the record; or it is undone, and a retry may start it."""
    bundle = e.layout.bundle(container.id)
    runtime = e.handlers.of(container.handler).runtime
    if container.boot_id == e.boot_id:
        await conmon.created(bundle)
        state = await runtime.state(container.id) or {}
        if state.get("status") == "running" and belongs(int(state["pid"]), container.id):
            pid = int(state["pid"])
            e.store.put(container.fire(ContainerEvent.STARTED, pid=pid, started_at=clock.now()))
            e.processes.add(container.id, pid)
            return
        if state.get("status") == "stopped":
            await conmon.gone(bundle)
            exited = e.exits.read(container.id)
            if exited is not None:
                # It ran and has exited before the start was recorded; running it again would be a second run.
                started = container.fire(ContainerEvent.STARTED, started_at=min(exited[1], clock.now()) - 1)
                e.store.put(started)
                container_exit.settle(e, started, *exited, "")
                return
    # Not release(): the root file system stays mounted for the retry.
    await runtime.delete(container.id, force=True)
    await container_release.kill_cgroup(e, container)
    await conmon.gone(bundle)
    e.exits.forget(container.id)
    container = container.fire(ContainerEvent.RESET)
    e.store.put(container)
    if container.boot_id != e.boot_id:
        container_exit.settle(e, container, UNKNOWN_EXIT, clock.now(), _REBOOTED)


def _sandbox(e: Parts, box: Sandbox) -> None:
    if box.state is SandboxState.READY and not _alive(e, box):
        box = box.fire(SandboxEvent.LOST)
        e.store.put(box)
    if box.state is SandboxState.READY:
        if box.init_pid:
            e.processes.add(box.id, box.init_pid)
        return
    if box.state is not SandboxState.STOPPED:
        e.ops.background(sandbox_finish.finish(e, box.id), "clean up after a restart", box.id)


def _alive(e: Parts, box: Sandbox) -> bool:
    if box.boot_id != e.boot_id or not sandbox_namespaces.alive(e.layout, box):
        return False
    return not box.init_pid or belongs(box.init_pid, box.id)
