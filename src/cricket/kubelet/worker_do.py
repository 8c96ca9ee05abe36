"""One action, done."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import time
from typing import TYPE_CHECKING

from cricket.client.errors import RemoteError
from cricket.kubelet import worker_memory
from cricket.kubelet.actions_list import (
    Action,
    KillContainer,
    KillPod,
    RemoveContainer,
    RemovePod,
    RemoveSandbox,
    ResizeContainer,
    RunSandbox,
    StartContainer,
    StopSandbox,
)
from cricket.kubelet.actions_outcome import DEADLINE, DEADLINE_WORDS, outcome
from cricket.kubelet.cri_config import container_resources
from cricket.kubelet.model.container import Container
from cricket.kubelet.volumes.materialize import cleanup
from cricket.kubelet.worker_start import run_sandbox, start_container
from cricket.kubelet.worker_stop import kill_container, kill_pod, remove_container, remove_sandbox, stop_sandbox

if TYPE_CHECKING:
    from cricket.kubelet.worker import PodWorker


async def do(worker: PodWorker, action: Action) -> bool:
    """Do it; True when the pod is gone. Starts may be cancelled when the pod is to end, the rest goes on to its end.
    Raises StartFailure and RemoteError."""
    if isinstance(action, RunSandbox):
        await run_sandbox(worker.parts, worker.pod, action, worker.started_at)
    elif isinstance(action, StartContainer):
        worker.attempted(action)
        boxes = worker.records.sandboxes
        ips = worker.parts.node.host_ips if worker.pod.spec.host_network else boxes[0].ips if boxes else ()
        container = _spec(worker, action.name)
        await start_container(worker.parts, worker.pod, container, action, worker.started_at, ips)
    else:
        return await asyncio.shield(_finish(worker, action))
    return False


async def _finish(worker: PodWorker, action: Action) -> bool:
    parts, pod = worker.parts, worker.pod
    if isinstance(action, KillContainer):
        container = _spec(worker, action.name)
        grace = action.grace if action.grace is not None else worker.grace
        await kill_container(parts, pod, action.id, container, action.message, worker.ip, grace)
    elif isinstance(action, KillPod):
        if action.why == "sandbox changed":
            text = "Pod sandbox changed, it will be killed and re-created."
            parts.events.add(pod, "SandboxChanged", text)
        if outcome(pod, worker.records, worker.started_at, time.time_ns()) == DEADLINE:
            parts.events.add(pod, DEADLINE, DEADLINE_WORDS)
        await kill_pod(parts, pod, worker.records, worker.ip, worker.grace)
    elif isinstance(action, ResizeContainer):
        await _resize(worker, action)
    elif isinstance(action, RemoveContainer):
        await remove_container(parts, action.id)
    elif isinstance(action, StopSandbox):
        await stop_sandbox(parts, action.id)
    elif isinstance(action, RemoveSandbox):
        await remove_sandbox(parts, action.id)
    elif isinstance(action, RemovePod):
        await _remove(worker)
        return True
    return False


def _spec(worker: PodWorker, name: str) -> Container:
    return next(container for container in worker.pod.containers() if container.name == name)


async def _resize(worker: PodWorker, action: ResizeContainer) -> None:
    parts, pod, container = worker.parts, worker.pod, _spec(worker, action.name)
    parts.events.add(pod, "ResizeStarted", f"Container {action.name} is resized in place", container=action.name)
    try:
        linux = container_resources(pod, container, parts.node)
        await parts.cri.call("UpdateContainerResources", container_id=action.id, linux=linux)
    except RemoteError as error:
        parts.events.add(pod, "ResizeError", error.what, container=action.name, warning=True)
        raise
    worker.resized(action.id, container.resources)
    parts.events.add(pod, "ResizeCompleted", "Pod resize completed", container=action.name)


async def _remove(worker: PodWorker) -> None:
    """Sandboxes, containers, volumes, logs, memory: in this order, so that a death in between is made up for."""
    parts, pod, records = worker.parts, worker.pod, worker.records
    for record in records.containers:
        await remove_container(parts, record.id)
    for box in records.sandboxes:
        await remove_sandbox(parts, box.id)
    await cleanup(worker.uid, parts.node.root)
    meta = pod.metadata
    logs = os.path.join(parts.node.log_root, f"{meta.namespace}_{meta.name}_{meta.uid}")
    with contextlib.suppress(OSError):
        await asyncio.to_thread(shutil.rmtree, logs)
    worker_memory.forget(parts.node, worker.uid)
