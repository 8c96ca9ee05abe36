"""The cgroups of this agent's pods: ROOT[/burstable|/besteffort]/podUID, made before the sandbox, removed after it.

The runtime makes sandboxes and containers below them. The agent touches nothing but ROOT, the two classes and podUID.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Iterable

import msgspec

from cricket.errors import CricketError
from cricket.kubelet.cgroup_parent import cgroup_parent, class_cgroup
from cricket.kubelet.cgroups import slices
from cricket.kubelet.cgroups.hierarchy import Tree, hierarchies
from cricket.kubelet.cgroups.limits import Limits, class_shares, pod_limits
from cricket.kubelet.failure import FailedCreatePodContainer
from cricket.kubelet.model.pod import Pod
from cricket.kubelet.node import Node
from cricket.kubelet.qos import QOSClass, qos_class

log = logging.getLogger("cricket.kubelet")
_CLASSES = (QOSClass.BURSTABLE, QOSClass.BEST_EFFORT)


class PodCgroups:
    """Makes and removes them, one at a time. `active` gives the pods that have not ended, for the classes' weights;
    `pids` is the limit of processes for each pod, 0 for none."""

    def __init__(self, node: Node, active: Callable[[], Iterable[Pod]], *, pids: int = 0, tree: Tree | None = None):
        self._node, self._active, self._pids = node, active, pids
        self._tree = tree or Tree(hierarchies())
        self._lock, self._limits = asyncio.Lock(), dict[str, Limits]()
        self._shared = dict[str, Limits]()  # what the classes were given

    async def ensure(self, pod: Pod) -> None:
        """Make the pod's cgroup, with its limits. Idempotent. Raises FailedCreatePodContainer."""
        path, limits = cgroup_parent(pod, self._node), pod_limits(pod, self._node, self._pids)
        async with self._lock:
            try:
                await self._classes({one.metadata.uid: one for one in (*self._active(), pod)}.values())
                await self._set(path, limits)
                self._limits[pod.metadata.uid] = limits
            except (OSError, CricketError) as error:
                why = error.what if isinstance(error, CricketError) else f"{error.filename}: {error.strerror}"
                raise FailedCreatePodContainer(f"unable to ensure pod container exists: {why}") from error

    async def widen(self, pod: Pod) -> None:
        """Let a pod that runs have what it has and what it is to have. Raises OSError, Internal."""
        limits = pod_limits(pod, self._node, self._pids)
        async with self._lock:
            # Another agent's limits are not known: none at all for a moment.
            now = self._limits.get(pod.metadata.uid) or msgspec.structs.replace(limits, quota=None, memory=None)
            await self._change(pod, limits.widened(now))

    async def settle(self, pod: Pod) -> None:
        """Let a pod that runs have what it is to have, and no more. Raises OSError, Internal."""
        async with self._lock:
            await self._change(pod, pod_limits(pod, self._node, self._pids))
            await self._classes(self._active())

    async def _change(self, pod: Pod, limits: Limits) -> None:
        path = cgroup_parent(pod, self._node)
        if self._tree.exists(path):
            await self._set(path, limits)
            self._limits[pod.metadata.uid] = limits

    async def remove(self, pod: Pod) -> None:
        """Remove the pod's cgroup; with the last of them the classes and ROOT. Idempotent. Raises OSError."""
        await self.remove_uid(pod.metadata.uid, qos_class(pod))

    async def remove_uid(self, uid: str, *classes: QOSClass) -> None:
        """As `remove`, for a pod of which only the uid is known: in whichever class it is."""
        async with self._lock:
            self._limits.pop(uid, None)
            for quality in classes or tuple(QOSClass):
                path = class_cgroup(quality, self._node, f"pod{uid}")
                if self._tree.exists(path):
                    await self._gone(path)
            await self._tidy()

    async def _set(self, path: str, limits: Limits) -> None:
        if self._node.systemd:
            await slices.make(path, limits, self._tree.unified)
        await asyncio.to_thread(self._tree.make, path)
        await asyncio.to_thread(self._tree.write, path, limits)

    async def _gone(self, path: str) -> None:
        if self._node.systemd:
            await slices.stop(path)
        await asyncio.to_thread(self._tree.remove, path)

    async def _classes(self, pods: Iterable[Pod]) -> None:
        """The classes share the CPU as their pods ask for it; all that best effort has is the least there is."""
        sizes = dict.fromkeys(self._node.hugepage_sizes, 1 << 62)
        for quality, weight in class_shares(pods).items():
            path, limits = class_cgroup(quality, self._node), Limits(weight, hugepages=sizes)
            if self._shared.get(path) != limits or not self._tree.exists(path):
                await self._set(path, limits)
                self._shared[path] = limits

    async def _tidy(self) -> None:
        root, kept = class_cgroup(QOSClass.GUARANTEED, self._node), list(self._active())
        used = {qos_class(pod) for pod in kept}
        for quality in _CLASSES:
            path = class_cgroup(quality, self._node)
            if quality not in used and not _pods(self._tree.children(path)):
                await self._empty(path)
        if not kept and not self._tree.children(root):
            await self._empty(root)

    async def _empty(self, path: str) -> None:
        if self._node.systemd and not await asyncio.to_thread(self._tree.children, path):
            await slices.stop(path)
        await asyncio.to_thread(self._tree.remove_empty, path)


def _pods(names: Iterable[str]) -> bool:
    return any(name.rpartition("-")[2].startswith("pod") for name in names)


def usable(node: Node) -> bool:
    """Whether this process may make cgroups here. Not everybody is root, and in a container they may be read-only."""
    try:
        tree = Tree(hierarchies())
        where = [hierarchy.mount for hierarchy in tree.all]
    except OSError:
        return False
    return bool(where) and all(os.access(path, os.W_OK) for path in where)
