"""Merging compound fields of an adjustment (mounts, environment, annotations...), entry by entry."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from cricket.nri.claims import Claims, Field
from cricket.nri.plain import Plain


class Compound(msgspec.Struct, frozen=True):
    """A field whose entries have a key; `name` is at the top of the message or below "linux".

    `key` is the member of a list's item that names it, "" when the field is a map. `removable` says whether a "-"
    before the key means removal; `claim_removals` that a removal excludes others too.
    """

    field: Field
    name: str
    key: str = ""
    linux: bool = False
    removable: bool = True
    claim_removals: bool = False

    def of(self, message: Plain) -> Any:
        """The field's value in an adjustment or a container, None when there is none."""
        return (message.get("linux", {}) if self.linux else message).get(self.name)

    def put(self, message: Plain, value: Any) -> None:
        """Write the field's value; an empty one is removed."""
        holder = message.setdefault("linux", {}) if self.linux else message
        if value:
            holder[self.name] = value
        else:
            holder.pop(self.name, None)


COMPOUND = (
    Compound(Field.Annotations, "annotations"),
    Compound(Field.Mounts, "mounts", "destination"),
    Compound(Field.Env, "env", "key"),
    Compound(Field.Devices, "devices", "path", linux=True),
    Compound(Field.Namespace, "namespaces", "type", linux=True, claim_removals=True),
    Compound(Field.Sysctl, "sysctl", linux=True),
    Compound(Field.LinuxNetDevices, "net_devices", linux=True),
    Compound(Field.Rlimits, "rlimits", "type", removable=False),
    Compound(Field.CdiDevices, "CDI_devices", "name", removable=False),
)


class Entries:
    """The entries of one compound field that plugins set (a value) or removed (None) so far."""

    def __init__(self, compound: Compound) -> None:
        self.compound = compound
        self._entries: dict[str, Any] = {}

    def merge(self, change: Any, claims: Claims, plugin: str) -> None:
        """Add what a plugin asks for: its removals first, then what it sets; raises Conflict.

        Removing what another plugin set takes it over; so "remove and set" is how a plugin overrules another one.
        """
        field = self.compound.field
        removed, put = self._split(change)
        for key in removed:
            if self.compound.claim_removals:
                claims.claim(field, plugin, key)
            else:
                claims.clear_if_claimed(field, plugin, key)
            self._entries.pop(key, None)
            self._entries[key] = None
        for key, value in put:
            if not (self.compound.claim_removals and key in removed):
                claims.claim(field, plugin, key)
            self._entries.pop(key, None)
            self._entries[key] = value

    def _split(self, change: Any) -> tuple[list[str], list[tuple[str, Any]]]:
        compound = self.compound
        pairs = change.items() if not compound.key else [(item.get(compound.key, ""), item) for item in change]
        removed, put = [], []
        for key, value in pairs:
            if compound.removable and key.startswith("-"):
                removed.append(key[1:])
            else:
                put.append((key, value))
        return removed, put

    def result(self) -> Any:
        """The merged field as an adjustment has it, removals marked with "-"."""
        marked = [(key if value is not None else "-" + key, value) for key, value in self._entries.items()]
        if self.compound.key:
            return [value if value is not None else {self.compound.key: key} for key, value in marked]
        nothing: Any = {} if self.compound.field is Field.LinuxNetDevices else ""
        return {key: value if value is not None else nothing for key, value in marked}

    def view(self, original: Any) -> Any:
        """The field of a container as it will be: `original` with the entries removed, replaced and added."""
        kept = {key: value for key, value in self._entries.items() if value is not None}
        if not self.compound.key:
            return {k: v for k, v in (original or {}).items() if k not in self._entries} | kept
        if self.compound.field is Field.Env:
            return _view_env(original or (), self._entries)
        name = self.compound.key
        return [item for item in original or () if item.get(name, "") not in self._entries] + list(kept.values())


def _view_env(original: Iterable[str], entries: dict[str, Any]) -> list[str]:
    kept = [item for item in original if item.partition("=")[0] not in entries]
    return kept + [f"{key}={value.get('value', '')}" for key, value in entries.items() if value is not None]
