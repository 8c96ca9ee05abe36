"""Merging the adjustments of several plugins to one container, in the order of their call.

Plain values only (see `plain`). Each plugin sees the container as the plugins before it want it to be; what two of them
set differently is a Conflict. The result is one `ContainerAdjustment` for `apply`.
"""

from __future__ import annotations

import copy
from typing import Any

from cricket.nri.claims import Claims, Field
from cricket.nri.merge_entries import COMPOUND, Entries
from cricket.nri.merge_resources import merge_resources
from cricket.nri.plain import Plain

HOOK_KINDS = ("prestart", "create_runtime", "create_container", "start_container", "poststart", "poststop")

_SIMPLE = {
    "cgroups_path": Field.CgroupsPath,
    "oom_score_adj": Field.OomScoreAdj,
    "io_priority": Field.IoPriority,
    "seccomp_policy": Field.SeccompPolicy,
    "scheduler": Field.LinuxSched,
    "memory_policy": Field.MemoryPolicy,
}
_RDT = {
    "clos_id": Field.RdtClosID,
    "schemata": Field.RdtSchemata,
    "enable_monitoring": Field.RdtEnableMonitoring,
}
# Fields of an adjustment's `linux` that a container message does not have: plugins cannot be shown them.
_NOT_SHOWN = frozenset({"memory_policy"})


class Adjustments:
    """The adjustments to one container that is being created. `container` is the pristine NRI message (plain)."""

    def __init__(self, container: Plain) -> None:
        self.claims = Claims(container.get("id", ""))
        self._pristine = container
        self._entries = [Entries(compound) for compound in COMPOUND]
        self._rest: Plain = {}
        self.container: Plain = copy.deepcopy(container)
        """The container as the next plugin shall see it."""

    def merge(self, change: Plain, plugin: str) -> None:
        """Add a plugin's `ContainerAdjustment`; raises Conflict."""
        for entries in self._entries:
            value = entries.compound.of(change)
            if value:
                entries.merge(value, self.claims, plugin)
                entries.compound.put(self.container, entries.view(entries.compound.of(self._pristine)))
        self._merge_args(change.get("args", []), plugin)
        self._merge_hooks(change.get("hooks", {}), plugin)
        linux = change.get("linux", {})
        for name, field in _SIMPLE.items():
            if name in linux:
                self.claims.claim(field, plugin)
                self._set_linux(name, linux[name])
        if resources := linux.get("resources"):
            targets = [holder.setdefault("linux", {}).setdefault("resources", {}) for holder in self._holders()]
            merge_resources(resources, self.claims, plugin, targets)
        if "rdt" in linux:
            self._merge_rdt(linux["rdt"], plugin)

    def result(self) -> Plain:
        """All adjustments as one `ContainerAdjustment`; empty when no plugin asked for any."""
        merged = copy.deepcopy(self._rest)
        for entries in self._entries:
            if value := entries.result():
                entries.compound.put(merged, value)
        return merged

    def _holders(self) -> tuple[Plain, Plain]:
        return self._rest, self.container

    def _set_linux(self, name: str, value: Any) -> None:
        for holder in self._holders():
            if holder is self._rest or name not in _NOT_SHOWN:
                holder.setdefault("linux", {})[name] = copy.deepcopy(value)

    def _merge_args(self, args: list[str], plugin: str) -> None:
        if not args:
            return
        if args[0] == "":  # the marker for "whoever set them before"
            self.claims.clear(Field.Args, plugin)
            args = args[1:]
        self.claims.claim(Field.Args, plugin)
        for holder in self._holders():
            holder["args"] = list(args)

    def _merge_hooks(self, hooks: Plain, plugin: str) -> None:
        added = False
        for kind in HOOK_KINDS:
            for hook in hooks.get(kind, ()):
                added = True
                for holder in self._holders():
                    holder.setdefault("hooks", {}).setdefault(kind, []).append(copy.deepcopy(hook))
        if added:
            self.claims.add_owner(Field.OciHooks, plugin)

    def _merge_rdt(self, rdt: Plain, plugin: str) -> None:
        if rdt.get("remove"):
            for field in _RDT.values():
                self.claims.clear(field, plugin)
            self._rest.setdefault("linux", {})["rdt"] = {"remove": True}
            self.container.get("linux", {}).pop("rdt", None)
        for name, field in _RDT.items():
            if name in rdt:
                self.claims.claim(field, plugin)
                for holder in self._holders():
                    holder.setdefault("linux", {}).setdefault("rdt", {})[name] = copy.deepcopy(rdt[name])
