"""Who set what: each field of a container may be adjusted by one plugin; two that set the same one conflict."""

from __future__ import annotations

from enum import IntEnum

from cricket.errors import FailedPrecondition
from cricket.nri.plain import Plain


class Field(IntEnum):
    """Fields that plugins can claim; names and numbers are those of NRI's enum `Field`, validators see them."""

    Annotations = 1
    Mounts = 2
    OciHooks = 3
    Devices = 4
    CdiDevices = 5
    Env = 6
    Args = 7
    MemLimit = 8
    MemReservation = 9
    MemSwapLimit = 10
    MemKernelLimit = 11
    MemTCPLimit = 12
    MemSwappiness = 13
    MemDisableOomKiller = 14
    MemUseHierarchy = 15
    CPUShares = 16
    CPUQuota = 17
    CPUPeriod = 18
    CPURealtimeRuntime = 19
    CPURealtimePeriod = 20
    CPUSetCPUs = 21
    CPUSetMems = 22
    PidsLimit = 23
    HugepageLimits = 24
    BlockioClass = 25
    RdtClass = 26
    CgroupsUnified = 27
    CgroupsPath = 28
    OomScoreAdj = 29
    Rlimits = 30
    IoPriority = 31
    SeccompPolicy = 32
    Namespace = 33
    Sysctl = 34
    LinuxNetDevices = 35
    LinuxSched = 36
    RdtClosID = 37
    RdtSchemata = 38
    RdtEnableMonitoring = 39
    MemoryPolicy = 40


class Conflict(FailedPrecondition):
    """Two plugins set the same field of a container."""


class Claims:
    """The claims on one container. A key is an entry of a compound field (a mount's destination), "" for a simple one.

    Clearing ("-plugin" as the owner) is how a plugin takes a field over: it may then claim what another one had.
    """

    def __init__(self, container_id: str) -> None:
        self.container_id = container_id
        self._owners: dict[tuple[Field, str], str] = {}

    def copy(self) -> Claims:
        """An independent copy, for a trial."""
        other = Claims(self.container_id)
        other._owners = dict(self._owners)
        return other

    def claim(self, field: Field, plugin: str, key: str = "") -> None:
        """Make `plugin` the owner; raises Conflict when the field has one and `plugin` did not clear it before."""
        owner = self._owners.get((field, key))
        if owner is not None and owner != "-" + plugin:
            raise Conflict(
                f"plugins {plugin} and {owner.removeprefix('-')} both set {field.name}" + (f" {key}" if key else ""),
                where=f"container {self.container_id}",
            )
        self._owners[field, key] = plugin

    def clear(self, field: Field, plugin: str, key: str = "") -> None:
        """Drop the claim of whoever had it, in favour of `plugin`."""
        self._owners[field, key] = "-" + plugin

    def clear_if_claimed(self, field: Field, plugin: str, key: str) -> None:
        """As `clear`, but nothing happens when nobody had a claim."""
        if (field, key) in self._owners:
            self.clear(field, plugin, key)

    def add_owner(self, field: Field, plugin: str) -> None:
        """Note one more owner of a field that everybody may add to (hooks)."""
        old = self._owners.get((field, ""))
        self._owners[field, ""] = f"{old},{plugin}" if old else plugin

    def owner(self, field: Field, key: str = "") -> str | None:
        """The owner, or None."""
        return self._owners.get((field, key))

    def owners(self, field: Field) -> dict[str, str]:
        """Entry to owner, of a compound field."""
        return {key: plugin for (f, key), plugin in self._owners.items() if f == field and key}

    def to_plain(self) -> Plain:
        """As NRI's `FieldOwners`."""
        simple: dict[int, str] = {}
        compound: dict[int, Plain] = {}
        for (field, key), plugin in self._owners.items():
            if key:
                compound.setdefault(int(field), {"owners": {}})["owners"][key] = plugin
            else:
                simple[int(field)] = plugin
        return {"simple": simple, "compound": compound}
