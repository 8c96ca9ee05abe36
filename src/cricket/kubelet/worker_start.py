"""Sandboxes and containers begin: RunPodSandbox; pull, create, start, postStart (kuberuntime_container.go)."""

from __future__ import annotations

from typing import Any

import msgspec

from cricket.client.errors import RemoteError
from cricket.kubelet.actions_list import RunSandbox, StartContainer
from cricket.kubelet.cri_config import Launch, container_config, runtime_handler, sandbox_config
from cricket.kubelet.failure import FailedCreatePodSandBox, StartFailure
from cricket.kubelet.hooks import run_hook
from cricket.kubelet.loop_observe import AGENT, MANIFEST, NAME, NAMESPACE, POD_NAME, RESOURCES, STARTED, UID
from cricket.kubelet.model.container import Container
from cricket.kubelet.model.pod import Pod
from cricket.kubelet.sizes import effective
from cricket.kubelet.volumes.materialize import HostVolume, materialize
from cricket.kubelet.worker_failure import (
    CreateContainerError,
    PostStartHookError,
    RunContainerError,
)
from cricket.kubelet.worker_image import provide
from cricket.kubelet.worker_parts import Parts
from cricket.kubelet.worker_stop import kill_container


async def run_sandbox(parts: Parts, pod: Pod, action: RunSandbox, started_at: int) -> str:
    """Make the sandbox; its id. Raises StartFailure."""
    await _cgroup_of(parts, pod)
    await volumes_of(parts, pod)
    try:
        config = await box_config(parts, pod, action.attempt, started_at)
        handler = runtime_handler(pod, parts.node)
        answer = await parts.cri.whole("RunPodSandbox", config=config, runtime_handler=handler)
    except StartFailure as error:
        _failed_sandbox(parts, pod, str(error))
        raise
    except RemoteError as error:
        _failed_sandbox(parts, pod, error.what)
        raise FailedCreatePodSandBox(error.what) from None
    return str(answer.pod_sandbox_id)


async def _cgroup_of(parts: Parts, pod: Pod) -> None:
    if parts.cgroups is None:
        return
    try:
        await parts.cgroups.ensure(pod)
    except StartFailure as error:
        parts.events.add(pod, error.reason, error.what, warning=True)
        raise


def _failed_sandbox(parts: Parts, pod: Pod, text: str) -> None:
    parts.events.add(pod, "FailedCreatePodSandBox", f"Failed to create pod sandbox: {text}", warning=True)


async def box_config(parts: Parts, pod: Pod, attempt: int, started_at: int) -> Any:
    """The sandbox's configuration with our labels, by which we find it again. Raises StartFailure."""
    config = await sandbox_config(pod, parts.node, attempt)
    _label(parts, pod, config.labels)
    config.annotations[MANIFEST] = msgspec.json.encode(pod).decode()
    config.annotations[STARTED] = str(started_at)
    return config


async def volumes_of(parts: Parts, pod: Pod) -> dict[str, HostVolume]:
    """The pod's volumes, made or brought up to date. Raises StartFailure after having told the event."""
    try:
        return await materialize(pod, parts.objects(), parts.node)
    except StartFailure as error:
        parts.events.add(pod, error.reason, str(error), warning=True)
        raise


async def start_container(
    parts: Parts, pod: Pod, container: Container, action: StartContainer, started_at: int, ips: tuple[str, ...]
) -> None:
    """Everything from the image to the postStart hook. Raises StartFailure, whose reason is the container's waiting
    reason."""
    name = container.name
    try:
        box = await box_config(parts, pod, 0, started_at)
        volumes = await volumes_of(parts, pod)
        handler = runtime_handler(pod, parts.node)
        refs = {}
        used = {mount.name for mount in container.volume_mounts}
        for volume, made in volumes.items():
            if made.image and volume in used:
                _, refs[volume] = await provide(parts, pod, made.image, made.pull_policy, box, container=name)
        image, ref = await provide(
            parts, pod, container.image, container.image_pull_policy, box, container=name, handler=handler
        )
        launch = Launch(pod, parts.node, parts.objects(), volumes, ips, refs)
        container_id = await _create(parts, launch, container, action, box, image, ref)
        await _start(parts, pod, container, container_id)
    except StartFailure as error:
        if error.reason in ("CreateContainerConfigError", "CreateContainerError", "RunContainerError"):
            parts.events.add(pod, "Failed", f"Error: {error}", container=name, warning=True)
        raise
    await _post_start(parts, pod, container, container_id, ips)


async def _create(
    parts: Parts, launch: Launch, container: Container, action: StartContainer, box: Any, image: Any, ref: str
) -> str:
    config = await container_config(launch, container, image, ref, action.attempt)
    _label(parts, launch.pod, config.labels)
    config.labels[NAME] = container.name
    config.annotations[RESOURCES] = msgspec.json.encode(effective(launch.pod, container)).decode()
    try:
        answer = await parts.cri.whole(
            "CreateContainer", pod_sandbox_id=action.sandbox_id, config=config, sandbox_config=box
        )
    except RemoteError as error:
        raise CreateContainerError(error.what) from None
    parts.events.add(launch.pod, "Created", "Container created", container=container.name)
    return str(answer.container_id)


async def _start(parts: Parts, pod: Pod, container: Container, container_id: str) -> None:
    try:
        await parts.cri.whole("StartContainer", container_id=container_id)
    except RemoteError as error:
        raise RunContainerError(error.what) from None
    parts.events.add(pod, "Started", "Container started", container=container.name)


async def _post_start(parts: Parts, pod: Pod, container: Container, container_id: str, ips: tuple[str, ...]) -> None:
    hook = container.lifecycle.post_start if container.lifecycle is not None else None
    if hook is None:
        return
    host = ips[0] if ips else (parts.node.host_ips or ("127.0.0.1",))[0]
    why = await run_hook(parts.cri, container, container_id, hook, host)
    if why:
        parts.events.add(pod, "FailedPostStartHook", "PostStartHook failed", container=container.name, warning=True)
        await kill_container(parts, pod, container_id, container, "FailedPostStartHook", host)
        raise PostStartHookError(f"PostStartHook failed: {why}")


def _label(parts: Parts, pod: Pod, labels: Any) -> None:
    meta = pod.metadata
    labels[AGENT] = parts.settings.name
    labels.update({POD_NAME: meta.name, NAMESPACE: meta.namespace, UID: meta.uid})
