"""What the node says of itself (CRI `Status`, `RuntimeConfig`) and progress of pulls and operations."""

from __future__ import annotations

from enum import IntEnum

import msgspec


class CgroupDriver(IntEnum):
    """CRI `CgroupDriver`, same numbers: 0 is SYSTEMD, so it is always set explicitly."""

    SYSTEMD = 0
    CGROUPFS = 1


class Condition(msgspec.Struct, frozen=True):
    """A runtime condition ("RuntimeReady", "NetworkReady") with its reason in CamelCase and a message for people."""

    type: str
    status: bool
    reason: str = ""
    message: str = ""


class HandlerInfo(msgspec.Struct, frozen=True):
    """A runtime handler and its probed features; `name` "" stands for the default."""

    name: str
    recursive_read_only_mounts: bool = False
    user_namespaces: bool = False


class NodeStatus(msgspec.Struct, frozen=True):
    """CRI `StatusResponse`; `info` (verbose only) maps names to JSON texts."""

    conditions: tuple[Condition, ...]
    handlers: tuple[HandlerInfo, ...]
    supplemental_groups_policy: bool = True
    user_namespaces_host_network: bool = False
    mount_options: bool = False
    info: dict[str, str] = {}
