"""Resources change in place (kuberuntime_manager.go, doPodResizeAction): the pod's cgroup grows before its containers
do and shrinks after them; the runtime is told of containers, and of the pod where it wants to know."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import msgspec

from cricket.client.errors import RemoteError
from cricket.errors import Code, CricketError, map_errors
from cricket.kubelet.actions_list import ResizeContainer
from cricket.kubelet.cri_config import container_resources, pod_resources
from cricket.kubelet.model.container import Container
from cricket.kubelet.model.pod import Pod
from cricket.kubelet.quantity import parse
from cricket.kubelet.sizes import effective
from cricket.kubelet.worker_failure import ResizeError

if TYPE_CHECKING:
    from cricket.kubelet.worker import PodWorker


async def resize_container(worker: PodWorker, action: ResizeContainer, container: Container) -> None:
    """Give a running container the resources that it should have. Raises ResizeError."""
    parts, pod = worker.parts, worker.pod
    _begun(worker)
    try:
        await _room(worker, action.id, container)
        await widen(worker)
        linux = container_resources(pod, container, parts.node)
        await parts.cri.call("UpdateContainerResources", container_id=action.id, linux=linux)
    except CricketError as error:
        raise _failed(worker, error) from None
    worker.resized(action.id, effective(pod, container))


async def resize_pod(worker: PodWorker) -> None:
    """Settle what belongs to the pod as a whole, now that its containers are as they should be. Raises ResizeError."""
    parts, pod = worker.parts, worker.pod
    _begun(worker)
    try:
        if parts.cgroups is not None:
            with map_errors(OSError, ResizeError, "the pod's cgroup cannot be changed"):
                await parts.cgroups.settle(pod)
        await _tell_sandbox(worker)
    except CricketError as error:
        raise _failed(worker, error) from None
    worker.settled_as(pod)
    parts.events.add(pod, "ResizeCompleted", f"Pod resize completed: {_summary(pod)}")


async def widen(worker: PodWorker) -> None:
    """Make room in the pod's cgroup for what it has and for what it is to have. Raises ResizeError."""
    if worker.parts.cgroups is not None:
        with map_errors(OSError, ResizeError, "the pod's cgroup cannot be changed"):
            await worker.parts.cgroups.widen(worker.pod)


async def _room(worker: PodWorker, container_id: str, container: Container) -> None:
    """Refuse a limit of memory below what is used: the kernel would kill, or refuse in words that help nobody."""
    before = worker.applied_to(container_id)
    old = parse(before.limits.get("memory", "0")) if before is not None else 0
    new = int(parse(effective(worker.pod, container).limits.get("memory", "0")))
    if not new or (old and new >= old):
        return
    stats = (await worker.parts.cri.call("ContainerStats", container_id=container_id)).stats
    used = stats.memory.usage_bytes.value or stats.memory.working_set_bytes.value
    if used >= new:
        raise ResizeError(
            "cannot decrease memory limits: attempting to set container "
            f'"{container.name}" memory limit ({new}) below current usage ({used})'
        )


async def _tell_sandbox(worker: PodWorker) -> None:
    overhead, resources = pod_resources(worker.pod, worker.parts.node)
    for box in worker.records.sandboxes[:1]:
        try:
            await worker.parts.cri.call(
                "UpdatePodSandboxResources", pod_sandbox_id=box.id, overhead=overhead, resources=resources
            )
        except RemoteError as error:
            if error.code is not Code.UNIMPLEMENTED:  # runtimes from before Kubernetes 1.32
                raise


def _begun(worker: PodWorker) -> None:
    if not worker.resizing:
        worker.resizing = True
        worker.parts.events.add(worker.pod, "ResizeStarted", f"Pod resize started: {_summary(worker.pod)}")


def _failed(worker: PodWorker, error: CricketError) -> ResizeError:
    text = f"Pod resize error: {_summary(worker.pod, error.what)}"
    worker.parts.events.add(worker.pod, "ResizeError", text, warning=True)
    return ResizeError(error.what)


def _summary(pod: Pod, error: str = "") -> str:
    """The resources of all containers, as the kubelet's events have them."""
    spec = pod.spec
    groups = {"initContainers": spec.init_containers, "containers": spec.containers}
    found: dict[str, Any] = {
        name: [{"name": c.name, "resources": msgspec.to_builtins(c.resources)} for c in group]
        for name, group in groups.items()
        if group
    }
    return json.dumps({**found, **({"error": error} if error else {})}, separators=(",", ":"))
