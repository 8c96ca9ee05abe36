"""Containers and pods end: preStop, grace, sidecars last (kuberuntime_container.go, KillPod)."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from cricket.client.errors import RemoteError
from cricket.errors import Code
from cricket.kubelet.hooks import run_hook
from cricket.kubelet.loop_cri import LIMIT
from cricket.kubelet.loop_records import ContainerRecord, Records, State
from cricket.kubelet.model.container import Container
from cricket.kubelet.model.pod import Pod
from cricket.kubelet.worker_parts import Parts


async def kill_container(
    parts: Parts,
    pod: Pod,
    container_id: str,
    container: Container | None,
    message: str,
    ip: str,
    grace: float | None = None,
) -> None:
    """Stop a container within `grace` seconds (the pod's when None), the preStop hook included. Idempotent. Raises
    RemoteError."""
    name = container.name if container is not None else ""
    parts.events.add(pod, "Killing", message, container=name)
    seconds = float(pod.spec.termination_grace_period_seconds if grace is None else grace)
    hook = container.lifecycle.pre_stop if container is not None and container.lifecycle is not None else None
    if hook is not None and container is not None and seconds > 0:
        began = time.monotonic()
        try:
            async with asyncio.timeout(seconds):
                why = await run_hook(parts.cri, container, container_id, hook, ip)
        except TimeoutError:
            why = "it took longer than the grace period"
        if why:
            parts.events.add(pod, "FailedPreStopHook", "PreStopHook failed", container=name, warning=True)
        seconds -= time.monotonic() - began
        seconds = max(seconds, parts.settings.minimum_grace)
    await _gone(parts, "StopContainer", container_id=container_id, timeout=round(seconds), limit=seconds + LIMIT)


async def kill_pod(parts: Parts, pod: Pod, records: Records, ip: str, grace: float | None = None) -> None:
    """Stop everything: first all but the sidecars, at once; then the sidecars, last first; then the sandboxes.
    Idempotent. Raises RemoteError."""
    total = float(pod.spec.termination_grace_period_seconds if grace is None else grace)
    over = time.monotonic() + total
    specs = {container.name: container for container in pod.containers()}
    order = [container.name for container in pod.spec.init_containers if container.sidecar]
    alive = [record for record in records.containers if record.alive]

    async def kill(record: ContainerRecord, seconds: float) -> None:
        spec = specs.get(record.name)
        await kill_container(parts, pod, record.id, spec, f"Stopping container {record.name}", ip, seconds)

    await _all(*(kill(record, total) for record in alive if record.name not in order))
    sidecars = sorted((r for r in alive if r.name in order), key=lambda r: order.index(r.name), reverse=True)
    for record in sidecars:
        await kill(record, max(over - time.monotonic(), parts.settings.minimum_grace) if total else 0.0)
    await _all(*(stop_sandbox(parts, box.id) for box in records.sandboxes if box.ready))


async def hurry(parts: Parts, records: Records) -> None:
    """Let what is being stopped die at once: somebody asked a second time."""
    running = (record for record in records.containers if record.state is State.RUNNING)
    await _all(*(_gone(parts, "StopContainer", container_id=r.id, timeout=0, limit=LIMIT) for r in running))


async def remove_container(parts: Parts, container_id: str) -> None:
    """Idempotent."""
    await _gone(parts, "RemoveContainer", container_id=container_id, limit=LIMIT)


async def stop_sandbox(parts: Parts, sandbox_id: str) -> None:
    """Idempotent."""
    await _gone(parts, "StopPodSandbox", pod_sandbox_id=sandbox_id, limit=LIMIT)


async def remove_sandbox(parts: Parts, sandbox_id: str) -> None:
    """Stop it and remove it with its containers. Idempotent."""
    await stop_sandbox(parts, sandbox_id)
    await _gone(parts, "RemovePodSandbox", pod_sandbox_id=sandbox_id, limit=LIMIT)


async def _gone(parts: Parts, method: str, /, **fields: Any) -> None:
    """Call; that there is no such thing is what was wanted."""
    try:
        await parts.cri.call(method, **fields)
    except RemoteError as error:
        if error.code is not Code.NOT_FOUND:
            raise


async def _all(*work: Any) -> None:
    """All of it at once, to the end; then the first error."""
    for result in await asyncio.gather(*work, return_exceptions=True):
        if isinstance(result, BaseException):
            raise result
