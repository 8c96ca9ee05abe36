"""CheckpointContainer: the state of a running container in one file, while the container goes on.

    ROOT/checkpoints/ID.dump     what goes into the archive; there only while a checkpoint is made

The container is frozen from before CRIU looks at it until its files are copied, so that memory and files agree. A
daemon that dies in between leaves it frozen: `recover` thaws it.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time

from cricket.errors import CricketError, DeadlineExceeded, FailedPrecondition, Internal, Unimplemented
from cricket.kernel import cgroup_freeze, mounts
from cricket.kernel.effects import effect
from cricket.kernel.files import make_dir, remove_tree
from cricket.lifecycle import checkpoint_contents, checkpoint_format, criu
from cricket.lifecycle.checkpoint_write import check_location, write_archive
from cricket.lifecycle.handlers import Handler
from cricket.lifecycle.parts import Parts
from cricket.types.container import Container, ContainerState
from cricket.types.stage import stage

log = logging.getLogger(__name__)
_DEFAULT_TIMEOUT = 600.0
_FREEZE_TIMEOUT = 10.0
_DUMP = ".dump"


async def checkpoint(e: Parts, container_id: str, location: str, timeout: float) -> None:
    """Write a checkpoint archive (checkpoint_format.py) of a running container to the absolute path `location`.

    The file appears whole, with mode 0600, or not at all; the container is as before in either case. `timeout` in
    seconds is for everything, 0 meaning ten minutes. A retry with the same location joins. Raises NotFound,
    FailedPrecondition (not running), InvalidArgument (location), Unimplemented (handler or kernel),
    DeadlineExceeded, ResourceExhausted, Internal with CRIU's words.
    """
    container = e.store.container(container_id)
    until = time.monotonic() + (timeout or _DEFAULT_TIMEOUT)
    key = ("checkpoint", container.id, location)
    await e.ops.join(key, lambda: _checkpoint(e, container.id, location, until))


def require(e: Parts, container: Container) -> Handler:
    """The container's handler. Raises Unimplemented when it cannot checkpoint and restore, saying what can."""
    handler = e.handlers.of(container.handler)
    if handler.features.checkpoint:
        return handler
    able = [h.name for h in e.handlers.all() if h.features.checkpoint and not h.problem]
    if able:
        todo = f"Run the pod with runtime handler {' or '.join(able)}."
    else:
        todo = "Install criu and a runtime built with it (Debian's runc is), then restart the daemon."
    version = f"{handler.runtime.path} {handler.features.version}".strip()
    raise Unimplemented(
        f"runtime handler {handler.name} ({version}) cannot checkpoint or restore containers", todo=todo
    )


async def _checkpoint(e: Parts, container_id: str, location: str, until: float) -> None:
    # Not the container's own lock: stopping it must not wait for a checkpoint.
    async with e.locks.hold(f"checkpoint {container_id}"):
        container = e.store.container(container_id)
        if container.state is not ContainerState.RUNNING:
            raise FailedPrecondition(f"the container is {container.state}, not running", where=container.id)
        require(e, container)
        check_location(location)
        directory = e.layout.checkpoint(container.id) + _DUMP
        try:
            make_dir(os.path.dirname(directory), 0o700)
            make_dir(os.path.join(directory, checkpoint_format.CRIU_IMAGES), 0o700)
            effect("checkpoint directory made")
            await _frozen_part(e, container, directory, until)
            with stage("checkpoint archive", container.id):
                await asyncio.to_thread(write_archive, directory, location, until)
        finally:
            await asyncio.to_thread(remove_tree, directory)


async def _frozen_part(e: Parts, container: Container, directory: str, until: float) -> None:
    try:
        await _freeze(e, container, min(_FREEZE_TIMEOUT, until - time.monotonic()))
        with stage("checkpoint", container.id):
            await _dump(e, container, directory, until - time.monotonic())
        with stage("checkpoint files", container.id):
            await asyncio.to_thread(checkpoint_contents.gather, e, container, directory)
    finally:
        await asyncio.to_thread(cgroup_freeze.thaw, e.cgroups, container.cgroup)
        effect("thaw container")


async def _freeze(e: Parts, container: Container, timeout: float) -> None:
    # None: no freezer on this host; then CRIU alone stops the processes, and files may be a moment newer.
    if await asyncio.to_thread(cgroup_freeze.freeze, e.cgroups, container.cgroup, timeout) is False:
        raise DeadlineExceeded(f"the container could not be frozen within {timeout:.1f} s", where=container.id)
    effect("freeze container")


async def _dump(e: Parts, container: Container, directory: str, timeout: float) -> None:
    runtime = e.handlers.of(container.handler).runtime
    images = os.path.join(directory, checkpoint_format.CRIU_IMAGES)
    if timeout <= 0:
        raise DeadlineExceeded("the checkpoint took too long", where=container.id)
    try:
        await runtime.checkpoint(container.id, images, directory, tcp_established=True, timeout=timeout)
    except Internal as error:
        await criu.explain(error, os.path.join(directory, checkpoint_format.DUMP_LOG))
    effect("runtime checkpoint")


async def recover(e: Parts) -> None:
    """Thaw what a dead daemon left frozen, and remove unfinished checkpoints and those of no container. Never fails."""
    parent = os.path.dirname(e.layout.checkpoint("x"))
    try:
        names = os.listdir(parent)
    except OSError:
        return
    for name in names:
        container_id = name.removesuffix(_DUMP)
        container = e.store.containers.get(container_id)
        if container is not None and name == container_id:
            continue  # a restore that is yet to be started; container_purge removes it
        path = os.path.join(parent, name)
        try:
            if container is not None and container.cgroup:
                await asyncio.to_thread(cgroup_freeze.thaw, e.cgroups, container.cgroup)
            mounts.unmount_below(path)
            await asyncio.to_thread(remove_tree, path)
        except CricketError as error:
            log.error("an unfinished checkpoint could not be cleaned up: %s", error)
