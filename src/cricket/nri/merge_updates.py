"""Merging the updates that plugins ask for, of containers other than the one being created."""

from __future__ import annotations

import copy
from collections.abc import Iterable

from cricket.errors import FailedPrecondition
from cricket.nri.claims import Claims
from cricket.nri.merge_resources import merge_resources
from cricket.nri.plain import Plain


class Updates:
    """Updates by container, merged over the plugins in the order of their call.

    While a container is being created (`creating`) its own update is refused: that is an adjustment. While one is
    being updated (`updating`, with the resources asked for so far), later plugins see what earlier ones changed.
    """

    def __init__(self, *, creating: str = "", updating: str = "", requested: Plain | None = None) -> None:
        self.creating, self.updating = creating, updating
        self.requested: Plain = copy.deepcopy(requested or {})
        self.claims: dict[str, Claims] = {}
        self._changes: dict[str, Plain] = {}

    def merge(self, updates: Iterable[Plain], plugin: str) -> None:
        """Add a plugin's list of `ContainerUpdate`.

        Raises Conflict, except for an update that the plugin marked `ignore_failure`: that one is left out as a whole.
        """
        for update in updates:
            self._merge_one(update, plugin)

    def _merge_one(self, update: Plain, plugin: str) -> None:
        target = update.get("container_id", "")
        if self.creating and target == self.creating:
            raise FailedPrecondition(f"plugin {plugin} updates the container that is being created", where=target)
        ignore = update.get("ignore_failure", False)
        known = self._changes.get(target)
        entry: Plain = known or {"container_id": target, "ignore_failure": True, "linux": {"resources": {}}}
        entry = copy.deepcopy(entry)
        entry["ignore_failure"] = entry["ignore_failure"] and ignore
        claims = self.claims.get(target, Claims(target)).copy()
        requested = copy.deepcopy(self.requested)
        targets = [entry["linux"]["resources"]] + ([requested] if target == self.updating else [])
        try:
            merge_resources(update.get("linux", {}).get("resources", {}), claims, plugin, targets)
        except FailedPrecondition:
            if ignore:
                return
            raise
        self._changes[target], self.claims[target], self.requested = entry, claims, requested

    def own_change(self) -> Plain:
        """What plugins changed of the container being updated (NRI `LinuxResources`, changed values only)."""
        entry = self._changes.get(self.updating)
        return entry["linux"]["resources"] if entry else {}

    def of_others(self) -> list[Plain]:
        """The merged `ContainerUpdate`s of all other containers, in the order of their first mention."""
        return [entry for target, entry in self._changes.items() if target != self.updating]
