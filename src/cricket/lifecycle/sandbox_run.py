"""RunPodSandbox."""

from __future__ import annotations

import asyncio
import time

from cricket.errors import AlreadyExists, Unavailable
from cricket.kernel.effects import effect
from cricket.kernel.files import make_dir
from cricket.lifecycle import (
    sandbox_check,
    sandbox_files,
    sandbox_finish,
    sandbox_init,
    sandbox_namespaces,
    sandbox_purge,
    warm_make,
)
from cricket.lifecycle.clock import new_id, now
from cricket.lifecycle.parts import Parts
from cricket.lifecycle.undo import Undo
from cricket.lifecycle.warm_make import Warm
from cricket.network.plugin import PluginFailed
from cricket.types.event import EventType
from cricket.types.sandbox import Sandbox, SandboxConfig, SandboxEvent, SandboxState
from cricket.types.security import NamespaceMode
from cricket.types.stage import concerns, stage


async def run(e: Parts, config: SandboxConfig, handler: str) -> str:
    """Create and start a sandbox; a retry joins the first attempt or gets its result (checklist 15)."""
    return await e.ops.join(("sandbox", config.metadata.key), lambda: _run(e, config, handler))


async def _run(e: Parts, config: SandboxConfig, handler: str) -> str:
    runtime = e.handlers.resolve(handler)
    sandbox_check.check(e, config, runtime)
    await _clear(e, config.metadata.key)
    if existing := _existing(e, config):
        return existing
    with e.warm.pod_starts():
        box = await _make(e, config, handler, runtime.name)
    e.events.publish(box.id, box.id, EventType.CREATED)
    e.events.publish(box.id, box.id, EventType.STARTED)
    return box.id


async def _make(e: Parts, config: SandboxConfig, handler: str, runtime: str) -> Sandbox:
    warm = await e.warm.take(config)
    box = Sandbox(
        id=warm.id if warm else new_id(),
        config=config,
        handler=handler,
        runtime=runtime,
        state=SandboxState.CREATING,
        created_at=now(),
        boot_id=e.boot_id,
        resources=config.resources,
        overhead=config.overhead,
    )
    concerns(box.id)
    async with e.locks.hold(box.id), Undo() as undo:
        if warm:
            undo.push("give the warm sandbox back", lambda: e.warm.give_back(warm))
        undo.push("remove the sandbox", lambda: sandbox_finish.undo(e, box.id))
        e.store.put(box)
        box = await _start(e, box, warm)
        e.store.put(box.fire(SandboxEvent.STARTED))
        undo.commit()
    return box


async def _clear(e: Parts, key: str) -> None:
    """Remove what an attempt has left that died with an earlier daemon, or could not be undone; then the name is free.

    One that is under way is never met here: the caller would have joined it.
    """
    left = e.store.sandbox_named(key)
    if left is not None and left.state is SandboxState.CREATING:
        with stage("removing what an interrupted attempt has left", left.id):
            async with e.locks.hold(left.id):
                await sandbox_purge.purge(e, left.id)


def _existing(e: Parts, config: SandboxConfig) -> str:
    existing = e.store.sandbox_named(config.metadata.key)
    if existing is None:
        return ""
    if existing.state is SandboxState.READY:
        return existing.id
    raise AlreadyExists(
        f"a sandbox of this name and attempt exists and is {existing.state}",
        where=existing.id,
        todo="Remove it, or raise metadata.attempt.",
    )


async def _start(e: Parts, box: Sandbox, warm: Warm | None) -> Sandbox:
    """Give the sandbox what it needs, in order; the record with what was learnt on the way."""
    config = box.config
    if warm:
        warm_make.claim(warm, e.layout)
    else:
        make_dir(e.layout.sandbox(box.id), 0o711)
        effect("make sandbox directory")
    if config.log_directory:
        with stage("log directory", config.log_directory):
            await asyncio.to_thread(make_dir, config.log_directory)
    box = await (_take_over(e, box, warm) if warm else _isolate(e, box))
    sandbox_files.write_files(e.layout, box)
    effect("sandbox files")
    if config.security.namespaces.pid is NamespaceMode.POD:
        with stage("sandbox init", box.id):
            box = await sandbox_init.start(e, box)
    if e.nri.active:
        with stage("NRI plugins", box.id):
            await e.nri.run_sandbox(box)
    return box


async def _take_over(e: Parts, box: Sandbox, warm: Warm) -> Sandbox:
    """Namespaces, shared memory and network are there, the hostname is set, and the sysctls of the configuration."""
    if box.config.sysctls:
        with stage("sysctls", box.id):
            await warm_make.set_sysctls(warm, e.layout, dict(box.config.sysctls))
    return box.with_network(e.layout.pin(box.id, "net"), warm.ips)


async def _isolate(e: Parts, box: Sandbox) -> Sandbox:
    config = box.config
    with stage("namespaces", box.id):
        await sandbox_namespaces.pin(e.layout, box, sandbox_check.sysctls(e, config))
    if config.security.namespaces.ipc is not NamespaceMode.NODE:
        await asyncio.to_thread(sandbox_files.mount_shm, e.layout, box, sandbox_check.shm_size(config))
    return await _attach_network(e, box)


async def _attach_network(e: Parts, box: Sandbox) -> Sandbox:
    if box.config.security.namespaces.network is NamespaceMode.NODE:
        return box
    condition = e.network.condition()
    if not condition.status:
        raise Unavailable("the pod network is not ready", where=condition.reason, todo=condition.message)
    netns = e.layout.pin(box.id, "net")
    began = time.monotonic()
    with stage("network setup", box.id):
        try:
            result = await e.network.setup(box.id, netns, box.config)
        except PluginFailed:
            # The last free address may be in the pool.
            if not await e.warm.give_up(began):
                raise
            result = await e.network.setup(box.id, netns, box.config)
    # The addresses are in the record only with READY: until then removal goes by the id alone.
    return box.with_network(netns, result.ips)
