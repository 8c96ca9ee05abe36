"""Taking a sandbox apart by its id: the same code after a failed create, a crash, a stop and a remove."""

from __future__ import annotations

import asyncio

from cricket.kernel import mounts
from cricket.kernel.effects import effect
from cricket.kernel.files import remove_tree
from cricket.lifecycle import container_purge, sandbox_init, sandbox_namespaces
from cricket.lifecycle.parts import Parts
from cricket.types.sandbox import Sandbox
from cricket.types.security import NamespaceMode
from cricket.types.stage import stage


async def release(e: Parts, box: Sandbox) -> None:
    """Give back the network, the init, the namespaces and the shared memory. Idempotent; raises what failed first."""
    with stage("sandbox init", box.id):
        await sandbox_init.remove(e, box)
    if box.config.security.namespaces.network is not NamespaceMode.NODE:
        with stage("network teardown", box.id):
            # A pin that holds no namespace (lost, or after a reboot) is still named: plugins get an empty CNI_NETNS.
            netns = e.layout.pin(box.id, "net") if sandbox_namespaces.alive(e.layout, box) else ""
            await e.network.teardown(box.id, netns, box.config)
    await asyncio.to_thread(_let_go, e, box)


def _let_go(e: Parts, box: Sandbox) -> None:
    sandbox_namespaces.release(e.layout, box.id)
    mounts.unmount(e.layout.sandbox_file(box.id, "shm"))
    effect("unmount shm")


async def purge(e: Parts, sandbox_id: str) -> None:
    """Remove everything that bears the id, the record last. Idempotent; the record outlives a failure."""
    box = e.store.sandboxes.get(sandbox_id)
    if box is None:
        return
    if e.nri.active:
        await e.nri.remove_sandbox(box)
    for container in e.store.members(sandbox_id):
        await container_purge.purge(e, container.id)
    if not box.released:
        await release(e, box)
    await asyncio.to_thread(_remove_directory, e.layout.sandbox(sandbox_id))
    effect("remove sandbox directory")
    e.store.delete(box)
    e.on_removed(sandbox_id)


def _remove_directory(directory: str) -> None:
    mounts.unmount_below(directory)
    remove_tree(directory)
