"""Security settings of sandboxes and containers (CRI `Linux{Sandbox,Container}SecurityContext`)."""

from __future__ import annotations

from enum import IntEnum

import msgspec


class NamespaceMode(IntEnum):
    """Where a namespace comes from (CRI `NamespaceMode`, same numbers)."""

    POD = 0
    CONTAINER = 1
    NODE = 2
    TARGET = 3


class GroupsPolicy(IntEnum):
    """CRI `SupplementalGroupsPolicy`: Merge adds the groups of the image's /etc/group, Strict does not."""

    MERGE = 0
    STRICT = 1


class ProfileType(IntEnum):
    """CRI `SecurityProfile.ProfileType`, same numbers."""

    RUNTIME_DEFAULT = 0
    UNCONFINED = 1
    LOCALHOST = 2


class SecurityProfile(msgspec.Struct, frozen=True, omit_defaults=True):
    """A seccomp or AppArmor profile; `localhost_ref` is a path (seccomp) or a profile name (AppArmor)."""

    type: ProfileType = ProfileType.UNCONFINED
    localhost_ref: str = ""


class IdMapping(msgspec.Struct, frozen=True, omit_defaults=True):
    """One line of a uid_map or gid_map."""

    host_id: int
    container_id: int
    length: int


class UserNamespace(msgspec.Struct, frozen=True, omit_defaults=True):
    """A pod's user namespace: POD with mappings, or NODE (none)."""

    mode: NamespaceMode = NamespaceMode.NODE
    uids: tuple[IdMapping, ...] = ()
    gids: tuple[IdMapping, ...] = ()


class NamespaceOptions(msgspec.Struct, frozen=True, omit_defaults=True):
    """CRI `NamespaceOption`. `userns` is None when the request had none (the host's user namespace)."""

    network: NamespaceMode = NamespaceMode.POD
    pid: NamespaceMode = NamespaceMode.POD
    ipc: NamespaceMode = NamespaceMode.POD
    target_id: str = ""
    userns: UserNamespace | None = None


class SELinux(msgspec.Struct, frozen=True, omit_defaults=True):
    """CRI `SELinuxOption`."""

    user: str = ""
    role: str = ""
    type: str = ""
    level: str = ""


class Capabilities(msgspec.Struct, frozen=True, omit_defaults=True):
    """CRI `Capability`: names without the CAP_ prefix, or "ALL"; case does not matter."""

    add: tuple[str, ...] = ()
    drop: tuple[str, ...] = ()
    add_ambient: tuple[str, ...] = ()


class SandboxSecurity(msgspec.Struct, frozen=True, omit_defaults=True):
    """CRI `LinuxSandboxSecurityContext`."""

    namespaces: NamespaceOptions = NamespaceOptions()
    selinux: SELinux | None = None
    run_as_user: int | None = None
    run_as_group: int | None = None
    readonly_rootfs: bool = False
    supplemental_groups: tuple[int, ...] = ()
    groups_policy: GroupsPolicy = GroupsPolicy.MERGE
    privileged: bool = False
    seccomp: SecurityProfile | None = None
    apparmor: SecurityProfile | None = None


class ContainerSecurity(msgspec.Struct, frozen=True, omit_defaults=True):
    """CRI `LinuxContainerSecurityContext`; the deprecated profile strings are folded into seccomp and apparmor."""

    capabilities: Capabilities = Capabilities()
    privileged: bool = False
    namespaces: NamespaceOptions = NamespaceOptions()
    selinux: SELinux | None = None
    run_as_user: int | None = None
    run_as_group: int | None = None
    run_as_username: str = ""
    readonly_rootfs: bool = False
    supplemental_groups: tuple[int, ...] = ()
    groups_policy: GroupsPolicy = GroupsPolicy.MERGE
    no_new_privs: bool = False
    masked_paths: tuple[str, ...] = ()
    readonly_paths: tuple[str, ...] = ()
    seccomp: SecurityProfile | None = None
    apparmor: SecurityProfile | None = None
