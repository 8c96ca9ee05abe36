"""One action, done."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import time
from typing import TYPE_CHECKING

from cricket.errors import Internal, map_errors
from cricket.kubelet import worker_memory
from cricket.kubelet.actions_list import (
    Action,
    KillContainer,
    KillPod,
    RemoveContainer,
    RemovePod,
    RemoveSandbox,
    ResizeContainer,
    ResizePod,
    RunSandbox,
    StartContainer,
    StopSandbox,
)
from cricket.kubelet.actions_outcome import DEADLINE, DEADLINE_WORDS, outcome
from cricket.kubelet.gc_containers import remove_logs
from cricket.kubelet.model.container import Container
from cricket.kubelet.volumes.materialize import cleanup
from cricket.kubelet.worker_resize import resize_container, resize_pod, widen
from cricket.kubelet.worker_start import run_sandbox, start_container
from cricket.kubelet.worker_stop import kill_container, kill_pod, remove_container, remove_sandbox, stop_sandbox

if TYPE_CHECKING:
    from cricket.kubelet.worker import PodWorker


async def do(worker: PodWorker, action: Action) -> bool:
    """Do it; True when the pod is gone. Starts may be cancelled when the pod is to end, the rest goes on to its end.
    Raises StartFailure and RemoteError."""
    if isinstance(action, RunSandbox):
        pod = worker.pod
        if action.attempt:
            text = "Pod sandbox changed, it will be killed and re-created."
            worker.parts.events.add(pod, "SandboxChanged", text)
        await run_sandbox(worker.parts, pod, action, worker.started_at)
        worker.settled_as(pod)
    elif isinstance(action, StartContainer):
        worker.attempted(action)
        boxes = worker.records.sandboxes
        ips = worker.parts.node.host_ips if worker.pod.spec.host_network else boxes[0].ips if boxes else ()
        container = _spec(worker, action.name)
        if worker.resizes():
            await widen(worker)
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
        if outcome(pod, worker.records, worker.started_at, time.time_ns()) == DEADLINE:
            parts.events.add(pod, DEADLINE, DEADLINE_WORDS)
        await kill_pod(parts, pod, worker.records, worker.ip, worker.grace)
        if action.why == "finished":
            await _remove_cgroup(worker)
    elif isinstance(action, ResizeContainer):
        await resize_container(worker, action, _spec(worker, action.name))
    elif isinstance(action, ResizePod):
        await resize_pod(worker)
    elif isinstance(action, RemoveContainer):
        await _remove_container(worker, action.id)
    elif isinstance(action, StopSandbox):
        await stop_sandbox(parts, action.id)
    elif isinstance(action, RemoveSandbox):
        await remove_sandbox(parts, action.id)
    elif isinstance(action, RemovePod):
        await _remove(worker)
        return True
    return False


async def _remove_container(worker: PodWorker, container_id: str) -> None:
    """With its log: those of a container that is restarted again and again would fill the disk."""
    logs = [record.log_path for record in worker.records.containers if record.id == container_id]
    await remove_container(worker.parts, container_id)
    for path in logs:
        await asyncio.to_thread(remove_logs, path)


def _spec(worker: PodWorker, name: str) -> Container:
    return next(container for container in worker.pod.containers() if container.name == name)


async def _remove_cgroup(worker: PodWorker) -> None:
    if worker.parts.cgroups is not None:
        with map_errors(OSError, Internal, "the pod's cgroup cannot be removed", where=worker.pod.key):
            await worker.parts.cgroups.remove(worker.pod)


async def _remove(worker: PodWorker) -> None:
    """Sandboxes, containers, volumes, logs, memory: in this order, so that a death in between is made up for."""
    parts, pod, records = worker.parts, worker.pod, worker.records
    for record in records.containers:
        await remove_container(parts, record.id)
    for box in records.sandboxes:
        await remove_sandbox(parts, box.id)
    await _remove_cgroup(worker)
    await cleanup(worker.uid, parts.node.root)
    meta = pod.metadata
    logs = os.path.join(parts.node.log_root, f"{meta.namespace}_{meta.name}_{meta.uid}")
    with contextlib.suppress(OSError):
        await asyncio.to_thread(shutil.rmtree, logs)
    worker_memory.forget(parts.node, worker.uid)
