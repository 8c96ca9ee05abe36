"""The namespaces of a sandbox: which it has, how they are pinned, what containers join."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from cricket.kernel.effects import effect
from cricket.kernel.files import make_dir
from cricket.kernel.namespaces import is_pinned, pin_namespaces, pin_of_process, pin_user_namespaces, unpin
from cricket.lifecycle.layout import Layout
from cricket.lifecycle.sandbox_files import hostname
from cricket.types.sandbox import Sandbox, SandboxConfig
from cricket.types.security import NamespaceMode

KINDS = ("net", "ipc", "uts", "user", "pid")


def wanted(config: SandboxConfig) -> tuple[str, ...]:
    """The kinds of namespaces that the sandbox has of its own (never "pid", which needs a process)."""
    options = config.security.namespaces
    kinds = []
    if options.network is not NamespaceMode.NODE:
        # The host's network goes with the host's name, as in the peers.
        kinds += ["net", "uts"]
    if options.ipc is not NamespaceMode.NODE:
        kinds.append("ipc")
    if has_userns(config):
        kinds.append("user")
    return tuple(kinds)


def has_userns(config: SandboxConfig) -> bool:
    """Whether the pod has a user namespace of its own."""
    userns = config.security.namespaces.userns
    return userns is not None and userns.mode is NamespaceMode.POD


async def pin(layout: Layout, box: Sandbox, sysctls: dict[str, str]) -> None:
    """Create and pin the sandbox's namespaces. Raises Internal; then none is left."""
    kinds = wanted(box.config)
    if not kinds:
        return
    make_dir(f"{layout.sandbox(box.id)}/ns", 0o711)
    paths = {kind: layout.pin(box.id, kind) for kind in kinds}
    userns = box.config.security.namespaces.userns
    if "user" in kinds and userns is not None:
        uids = [(m.container_id, m.host_id, m.length) for m in userns.uids]
        gids = [(m.container_id, m.host_id, m.length) for m in userns.gids]
        await pin_user_namespaces(paths, uids, gids, hostname=hostname(box), sysctls=sysctls)
        effect("pin namespaces")
    else:
        await pin_plain(layout, box.id, kinds, sysctls, hostname(box))


async def pin_plain(
    layout: Layout, sandbox_id: str, kinds: tuple[str, ...], sysctls: Mapping[str, str], hostname: str = ""
) -> None:
    """The same without a user namespace, by the id alone. Raises Internal; then none is left."""
    make_dir(f"{layout.sandbox(sandbox_id)}/ns", 0o711)
    paths = {kind: layout.pin(sandbox_id, kind) for kind in kinds}
    # The kernel makes a network namespace wait while it takes others down.
    await asyncio.to_thread(pin_namespaces, paths, hostname=hostname, sysctls=sysctls)
    effect("pin namespaces")


def pin_pid(layout: Layout, sandbox_id: str, init_pid: int) -> None:
    """Pin the PID namespace of the sandbox's init. Raises Internal.

    Once the init is gone nothing can be started in it any more; a path in /proc would mean whoever has its pid then.
    """
    make_dir(f"{layout.sandbox(sandbox_id)}/ns", 0o711)
    pin_of_process(init_pid, "pid", layout.pin(sandbox_id, "pid"))
    effect("pin pid namespace")


def release(layout: Layout, sandbox_id: str) -> None:
    """Unpin whatever the sandbox has pinned. Idempotent; blocks while the kernel lets go."""
    unpin(layout.pin(sandbox_id, kind) for kind in KINDS)
    effect("unpin namespaces")


def joined(layout: Layout, box: Sandbox) -> dict[str, str]:
    """Kind to path of the namespaces that the sandbox's containers join."""
    return {kind: layout.pin(box.id, kind) for kind in wanted(box.config)}


def alive(layout: Layout, box: Sandbox) -> bool:
    """Whether all pins still hold a namespace (after a reboot none does)."""
    return all(is_pinned(layout.pin(box.id, kind)) for kind in wanted(box.config))
