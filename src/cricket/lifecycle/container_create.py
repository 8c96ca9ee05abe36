"""CreateContainer."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence

from cricket.errors import AlreadyExists, FailedPrecondition, InvalidArgument, NotFound
from cricket.lifecycle import checkpoint_restore, container_purge, container_spec, nri_updates
from cricket.lifecycle.clock import new_id, now
from cricket.lifecycle.parts import Parts
from cricket.lifecycle.undo import Undo
from cricket.oci.cgroup import cgroup_dir
from cricket.oci.resources import oom_score_adj
from cricket.oci.signals import stop_signal
from cricket.types.container import Container, ContainerConfig, ContainerEvent, ContainerState
from cricket.types.event import EventType
from cricket.types.image import Image
from cricket.types.resources import Resources
from cricket.types.sandbox import Sandbox, SandboxConfig, SandboxState
from cricket.types.stage import concerns, stage

Updates = Sequence[tuple[str, Resources]]


async def create(e: Parts, sandbox_id: str, config: ContainerConfig, sandbox_config: SandboxConfig | None) -> str:
    """Create a container in a ready sandbox; a retry joins the first attempt or gets its result.

    `sandbox_config` repeats what RunPodSandbox was given; the record of the sandbox counts.
    """
    box = e.store.sandbox(sandbox_id)
    return await e.ops.join(("container", box.id, config.metadata.key("")), lambda: _create(e, box.id, config))


async def _create(e: Parts, sandbox_id: str, config: ContainerConfig) -> str:
    box = _ready(e, sandbox_id)
    existing = e.store.container_named(box.id, config.metadata.key(""))
    if existing is not None and existing.state is ContainerState.CREATING:
        # Not under way (the caller would have joined it): an attempt that could not be undone.
        async with e.locks.hold(existing.id):
            await container_purge.purge(e, existing.id)
        existing = None
    if existing is not None:
        if existing.state in (ContainerState.CREATED, ContainerState.RUNNING):
            return existing.id
        raise AlreadyExists(
            f"a container of this name and attempt exists and is {existing.state}",
            where=existing.id,
            todo="Remove it, or raise metadata.attempt.",
        )
    restored = await checkpoint_restore.recognise(e, config)
    if restored is not None:
        config = restored.config
        box = _ready(e, sandbox_id)  # reading the archive took a while
    image = _image(e, config.image)
    container = _record(e, box, config, image)
    concerns(container.id)
    e.moves.soon()  # whoever creates a container starts it at once
    async with e.locks.hold(container.id), Undo() as undo:
        undo.push("remove the container", lambda: container_purge.purge(e, container.id))
        e.store.put(container)
        if restored is not None:
            container = await checkpoint_restore.prepare(e, box, container, restored)
        container, updates = await _build(e, box, container, image)
        if restored is not None:
            await asyncio.to_thread(checkpoint_restore.finish, e, box, container, restored)
        # StopPodSandbox may have come in between; it must not leave a container behind that can be started.
        _ready(e, sandbox_id)
        container = container.fire(ContainerEvent.CREATED)
        e.store.put(container)
        undo.commit()
    # Only now, as changing another container takes its lock.
    await nri_updates.apply(e, updates)
    if e.nri.active:
        await e.nri.post_create(box, container)
    e.events.publish(container.id, box.id, EventType.CREATED)
    return container.id


def _ready(e: Parts, sandbox_id: str) -> Sandbox:
    box = e.store.sandboxes.get(sandbox_id)
    if box is None:
        raise NotFound("no such sandbox", where=sandbox_id)
    if box.state is not SandboxState.READY:
        raise FailedPrecondition(f"the sandbox is {box.state}, not ready", where=sandbox_id)
    return box


def _image(e: Parts, name: str) -> Image:
    if not name:
        raise InvalidArgument("no image is given", where="config.image.image")
    image = e.images.find(name)
    if image is None:
        raise NotFound("the image is not present", where=name, todo="Pull it first.")
    return image


def _record(e: Parts, box: Sandbox, config: ContainerConfig, image: Image) -> Container:
    container_id = new_id()
    log_path = _log_path(box.config.log_directory, config.log_path)
    return Container(
        id=container_id,
        sandbox_id=box.id,
        config=config,
        state=ContainerState.CREATING,
        created_at=now(),
        image_id=image.id,
        image_ref=image.digests[0] if image.digests else image.id,
        handler=box.runtime,
        log_path=log_path,
        resources=config.resources,
        stop_signal=stop_signal(config.stop_signal, image.config.stop_signal),
        cgroup=cgroup_dir(box.config.cgroup_parent, container_id, e.handlers.cgroup_driver),
        boot_id=e.boot_id,
    )


def _log_path(directory: str, name: str) -> str:
    """The log's absolute path, "" for none. Raises InvalidArgument."""
    if not (directory and name):
        return ""
    path = os.path.join(directory, name)
    if "\0" in path or not os.path.normpath(path).startswith(os.path.normpath(directory).rstrip("/") + "/"):
        raise InvalidArgument("log_path leads out of the sandbox's log directory", where=name)
    if ":" in path:
        raise InvalidArgument("the monitor takes a log's path to end at a colon", where=path, todo="Use another name.")
    return path


async def _build(e: Parts, box: Sandbox, container: Container, image: Image) -> tuple[Container, Updates]:
    """Mount, generate the spec, let plugins change it, write the bundle.

    Returns the record with what was learnt, and changes to other containers that plugins ask for.
    """
    updates: Updates = ()
    with stage("root file system and spec", container.id):
        spec, container = await container_spec.build(e, box, container, image)
    if e.nri.active:
        with stage("NRI plugins", container.id):
            spec, updates = await e.nri.create_container(box, container, spec)
        process = spec.get("process", {})
        process["oomScoreAdj"] = oom_score_adj(process.get("oomScoreAdj", 0), e.host)
    e.bundles.write(container.id, spec)
    return container, updates
