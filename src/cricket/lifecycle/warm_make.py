"""One warm sandbox: a directory with namespaces, shared memory and an attached network, for a pod that is to come.

It has its id from the start, and everything lies where it does for a sandbox with that id. What makes it warm is the
file `warm` in its directory, and that no record names it. So a pod claims it by its record, which every sandbox writes
first, and from there on it is taken apart as any other sandbox; the file is only in the way then.

A directory without record and without that file is half made or half taken apart: `orphans.py` sweeps it.
"""

from __future__ import annotations

import asyncio

import msgspec

from cricket.kernel import mounts
from cricket.kernel.effects import effect
from cricket.kernel.files import atomic_write, make_dir, remove_file, remove_tree
from cricket.kernel.namespaces import is_pinned, set_up_pinned
from cricket.kernel.netns_thread import in_own_thread
from cricket.lifecycle import sandbox_files, sandbox_namespaces
from cricket.lifecycle.layout import Layout
from cricket.lifecycle.undo import Undo
from cricket.network.network import Network
from cricket.network.result import Json
from cricket.network.warm import Terms

KINDS = ("net", "uts", "ipc")
"""The namespaces that it has; in the order of `sandbox_namespaces.wanted`."""
_FILE = "warm"


class Warm(msgspec.Struct, frozen=True):
    """A warm sandbox as its file tells. `digest` says on what terms it was made; `ips` with the primary first."""

    id: str
    digest: str
    ips: tuple[str, ...]
    result: Json


async def make(
    sandbox_id: str, layout: Layout, network: Network, terms: Terms, digest: str, sysctls: dict[str, str]
) -> Warm:
    """Make one. On failure nothing of it stays. Raises CricketError kinds."""
    async with Undo() as undo:
        undo.push("remove the warm sandbox", lambda: remove(sandbox_id, layout, network))
        make_dir(layout.sandbox(sandbox_id), 0o711)
        effect("make sandbox directory")
        await sandbox_namespaces.pin_plain(layout, sandbox_id, KINDS, sysctls)
        await asyncio.to_thread(sandbox_files.mount_plain_shm, layout, sandbox_id, sandbox_files.SHM_SIZE)
        found = await network.setup_warm(sandbox_id, layout.pin(sandbox_id, "net"), terms)
        warm = Warm(sandbox_id, digest, found.ips, found.result)
        atomic_write(layout.sandbox_file(sandbox_id, _FILE), msgspec.json.encode(warm), mode=0o600, durable=False)
        effect("warm sandbox made")
        undo.commit()
    return warm


def claim(warm: Warm, layout: Layout) -> None:
    """It has a record now and is warm no more. Idempotent. Raises Internal."""
    remove_file(layout.sandbox_file(warm.id, _FILE))
    effect("warm sandbox claimed")


def name(warm: Warm, layout: Layout, hostname: str) -> None:
    """Give it the hostname of the pod that is about to claim it. In a throw-away thread. Raises Internal.

    Before the claim, as the thread is there: should the daemon die in between, the next pod's takes its place.
    """
    set_up_pinned({"uts": layout.pin(warm.id, "uts")}, hostname=hostname)


async def set_sysctls(warm: Warm, layout: Layout, sysctls: dict[str, str]) -> None:
    """Set the pod's own sysctls, after the claim. Raises InvalidArgument, Internal."""
    paths = {kind: layout.pin(warm.id, kind) for kind in KINDS}
    await in_own_thread(lambda: set_up_pinned(paths, sysctls=sysctls))
    effect("warm sandbox sysctls")


async def remove(sandbox_id: str, layout: Layout, network: Network) -> None:
    """Take apart what no record names, whole or in part. Idempotent; raises what failed first, and may be repeated."""
    remove_file(layout.sandbox_file(sandbox_id, _FILE))
    effect("warm sandbox given up")
    netns = layout.pin(sandbox_id, "net")
    await network.teardown(sandbox_id, netns if is_pinned(netns) else "", None)
    await asyncio.to_thread(_remove_rest, layout, sandbox_id)
    effect("remove sandbox directory")


def _remove_rest(layout: Layout, sandbox_id: str) -> None:
    sandbox_namespaces.release(layout, sandbox_id)
    directory = layout.sandbox(sandbox_id)
    mounts.unmount(layout.sandbox_file(sandbox_id, "shm"))
    effect("unmount shm")
    mounts.unmount_below(directory)
    remove_tree(directory)


def read(layout: Layout, sandbox_id: str) -> Warm | None:
    """What an earlier daemon has left under this id, None when it is not warm."""
    try:
        with open(layout.sandbox_file(sandbox_id, _FILE), "rb") as f:
            found = msgspec.json.decode(f.read(), type=Warm)
    except (OSError, msgspec.MsgspecError):
        return None
    return found if found.id == sandbox_id else None
