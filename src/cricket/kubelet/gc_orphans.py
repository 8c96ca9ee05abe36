"""Files of pods that nobody knows any more: an agent that died while it removed one, or a runtime that lost all. What
lies below ROOT is this agent's alone (it holds the lock), so that it may go."""

from __future__ import annotations

import asyncio
import glob
import logging
import os
import shutil
from collections.abc import Callable

from cricket.errors import CricketError, Internal, map_errors
from cricket.kubelet import worker_memory
from cricket.kubelet.volumes.materialize import cleanup
from cricket.kubelet.worker_parts import Parts

log = logging.getLogger("cricket.kubelet")


class OrphanCollector:
    """Removes them. `known` gives the uids of the pods that are wanted or there, None before that is known; those in
    `going` may not be begun; `freed` is called when they may be again."""

    def __init__(self, parts: Parts, known: Callable[[], set[str] | None], freed: Callable[[], None]) -> None:
        self._parts, self._known, self._freed = parts, known, freed
        self.going: set[str] = set()

    async def collect(self) -> None:
        """Look once. What cannot be removed is told, and tried again the next time."""
        known = self._known()
        if known is None:
            return
        self.going = await asyncio.to_thread(self._found) - (self._known() or known)
        try:
            for uid in self.going:
                log.info("pod %s is gone; its files are removed", uid)
                try:
                    await self._remove(uid)
                except CricketError as error:
                    log.warning("%s", error)
        finally:
            if self.going:
                self.going = set()
                self._freed()

    def _found(self) -> set[str]:
        root = self._parts.node.root
        files = {path.removesuffix(".json") for path in _names(os.path.join(root, "agent")) if path.endswith(".json")}
        return files | set(_names(os.path.join(root, "pods")))

    async def _remove(self, uid: str) -> None:
        if self._parts.cgroups is not None:
            with map_errors(OSError, Internal, "the cgroup of a pod that is gone cannot be removed", where=uid):
                await self._parts.cgroups.remove_uid(uid)
        await cleanup(uid, self._parts.node.root)
        logs = os.path.join(glob.escape(self._parts.node.log_root), f"*_{glob.escape(uid)}")
        for path in await asyncio.to_thread(glob.glob, logs):
            await asyncio.to_thread(shutil.rmtree, path, ignore_errors=True)
        worker_memory.forget(self._parts.node, uid)


def _names(directory: str) -> list[str]:
    try:
        return os.listdir(directory)
    except OSError:
        return []
