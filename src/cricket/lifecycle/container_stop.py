"""StopContainer."""

from __future__ import annotations

import asyncio

import msgspec

from cricket.errors import DeadlineExceeded, NotFound
from cricket.kernel.effects import effect
from cricket.lifecycle import container_release, nri_updates
from cricket.lifecycle.parts import Parts
from cricket.lifecycle.stopping import Stopping
from cricket.types.container import Container, ContainerState
from cricket.types.sandbox import Sandbox
from cricket.types.security import NamespaceMode
from cricket.types.stage import stage

_BUSY = (ContainerState.CREATING, ContainerState.STARTING)
_DEATH = 60.0  # seconds that the kernel has to end a process after SIGKILL; longer means that it hangs in the kernel


async def stop(e: Parts, container_id: str, timeout: float) -> None:
    """Send the stop signal once, SIGKILL after `timeout` seconds, and return when the exit is recorded.

    Idempotent. A second call while the first waits can only shorten the wait; it does not signal again. Raises
    DeadlineExceeded when the process survives SIGKILL.
    """
    try:
        container = e.store.container(container_id)
    except NotFound:
        return
    if container.state in _BUSY:
        async with e.locks.hold(container.id):
            pass
        container = e.store.containers.get(container.id, container)
    if container.state is not ContainerState.RUNNING:
        return
    loop = asyncio.get_running_loop()
    deadline = loop.time() + max(timeout, 0)
    stopping = e.stopping.get(container.id)
    if stopping is None:
        stopping = e.stopping[container.id] = Stopping(deadline)
    else:
        stopping.shorten(deadline)
    await e.ops.join(("stop", container.id), lambda: _stop(e, container.id, stopping))


async def _stop(e: Parts, container_id: str, stopping: Stopping) -> None:
    try:
        if asyncio.get_running_loop().time() < stopping.deadline:
            _signal_once(e, e.store.containers[container_id])
            with stage("waiting for the container to exit", container_id):
                await _wait(e, container_id, stopping)
        await kill(e, container_id)
        if container := e.store.containers.get(container_id):
            await nri_updates.stopped(e, container)
    finally:
        e.stopping.pop(container_id, None)


def _signal_once(e: Parts, container: Container) -> None:
    if container.stop_requested:
        return
    e.processes.signal(container.id, container.stop_signal)
    effect("stop signal")
    if container.id in e.store.containers:
        e.store.put(msgspec.structs.replace(container, stop_requested=True))


async def _wait(e: Parts, container_id: str, stopping: Stopping) -> None:
    loop = asyncio.get_running_loop()
    while True:
        stopping.shorter.clear()
        exited = asyncio.ensure_future(e.processes.wait(container_id, None))
        shorter = asyncio.ensure_future(stopping.shorter.wait())
        left = max(0.0, stopping.deadline - loop.time())
        await asyncio.wait((exited, shorter), timeout=left, return_when=asyncio.FIRST_COMPLETED)
        done = exited.done()
        exited.cancel()
        shorter.cancel()
        if done or loop.time() >= stopping.deadline:
            return


async def kill(e: Parts, container_id: str) -> None:
    """SIGKILL to everything in a running container; returns when the exit is recorded. Idempotent."""
    container = e.store.containers.get(container_id)
    if container is None or container.state is not ContainerState.RUNNING:
        return
    e.processes.signal(container_id, 9)
    box = e.store.sandboxes.get(container.sandbox_id)
    if box is None or _shares_pids(box, container):
        # Without a PID namespace of its own, the others do not die with the first process.
        await container_release.kill_cgroup(e, container)
    effect("kill")
    with stage("waiting for the kernel to end the process", container_id):
        if await e.processes.wait(container_id, 2.0):
            return
        await container_release.kill_cgroup(e, container)
        if not await e.processes.wait(container_id, _DEATH):
            raise DeadlineExceeded(
                "the container did not exit after SIGKILL",
                where=container_id,
                todo=f"Look at /proc/{container.pid}/stack for what its process waits for in the kernel.",
            )


def _shares_pids(box: Sandbox, container: Container) -> bool:
    mode = container.config.security.namespaces.pid
    return mode is not NamespaceMode.CONTAINER
