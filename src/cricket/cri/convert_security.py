"""Security contexts, namespaces and profiles, CRI to types and back.

The deprecated `seccomp_profile_path` and `apparmor_profile` strings are folded into the profiles on the way in; the
profile messages win when both are given, as the API's comments say.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from cricket._proto.cri import api_pb2 as pb
from cricket.cri.fields import maybe, number, text, texts, wire
from cricket.errors import InvalidArgument
from cricket.types.security import (
    Capabilities,
    ContainerSecurity,
    GroupsPolicy,
    IdMapping,
    NamespaceMode,
    NamespaceOptions,
    ProfileType,
    SandboxSecurity,
    SecurityProfile,
    SELinux,
    UserNamespace,
)


def sandbox_security_from(message: pb.LinuxSandboxSecurityContext, field: str) -> SandboxSecurity:
    """`LinuxSandboxSecurityContext`."""
    _group_needs_user(message, field, bool(message.HasField("run_as_user")))
    return SandboxSecurity(
        namespaces=namespaces_from(message.namespace_options, f"{field}.namespace_options"),
        selinux=_selinux_from(message),
        run_as_user=_int64(message, "run_as_user"),
        run_as_group=_int64(message, "run_as_group"),
        readonly_rootfs=message.readonly_rootfs,
        supplemental_groups=tuple(message.supplemental_groups),
        groups_policy=number(GroupsPolicy, message.supplemental_groups_policy, f"{field}.supplemental_groups_policy"),
        privileged=message.privileged,
        seccomp=_profile_from(message, "seccomp", message.seccomp_profile_path, field),
        apparmor=_profile_from(message, "apparmor", "", field),
    )


def sandbox_security_to(security: SandboxSecurity) -> pb.LinuxSandboxSecurityContext:
    """The reverse of `sandbox_security_from`."""
    return pb.LinuxSandboxSecurityContext(
        namespace_options=namespaces_to(security.namespaces),
        selinux_options=maybe(_selinux_to, security.selinux),
        run_as_user=_value(security.run_as_user),
        run_as_group=_value(security.run_as_group),
        readonly_rootfs=security.readonly_rootfs,
        supplemental_groups=security.supplemental_groups,
        supplemental_groups_policy=wire(security.groups_policy),
        privileged=security.privileged,
        seccomp=maybe(_profile_to, security.seccomp),
        apparmor=maybe(_profile_to, security.apparmor),
    )


def container_security_from(message: pb.LinuxContainerSecurityContext, field: str) -> ContainerSecurity:
    """`LinuxContainerSecurityContext`."""
    has_user = bool(message.HasField("run_as_user") or message.run_as_username)
    _group_needs_user(message, field, has_user)
    return ContainerSecurity(
        capabilities=Capabilities(
            tuple(message.capabilities.add_capabilities),
            tuple(message.capabilities.drop_capabilities),
            tuple(message.capabilities.add_ambient_capabilities),
        ),
        privileged=message.privileged,
        namespaces=namespaces_from(message.namespace_options, f"{field}.namespace_options"),
        selinux=_selinux_from(message),
        run_as_user=_int64(message, "run_as_user"),
        run_as_group=_int64(message, "run_as_group"),
        run_as_username=text(message.run_as_username, f"{field}.run_as_username"),
        readonly_rootfs=message.readonly_rootfs,
        supplemental_groups=tuple(message.supplemental_groups),
        groups_policy=number(GroupsPolicy, message.supplemental_groups_policy, f"{field}.supplemental_groups_policy"),
        no_new_privs=message.no_new_privs,
        masked_paths=texts(message.masked_paths, f"{field}.masked_paths"),
        readonly_paths=texts(message.readonly_paths, f"{field}.readonly_paths"),
        seccomp=_profile_from(message, "seccomp", message.seccomp_profile_path, field),
        apparmor=_profile_from(message, "apparmor", message.apparmor_profile, field),
    )


def container_security_to(security: ContainerSecurity) -> pb.LinuxContainerSecurityContext:
    """The reverse of `container_security_from`."""
    capabilities = security.capabilities
    return pb.LinuxContainerSecurityContext(
        capabilities=pb.Capability(
            add_capabilities=capabilities.add,
            drop_capabilities=capabilities.drop,
            add_ambient_capabilities=capabilities.add_ambient,
        ),
        privileged=security.privileged,
        namespace_options=namespaces_to(security.namespaces),
        selinux_options=maybe(_selinux_to, security.selinux),
        run_as_user=_value(security.run_as_user),
        run_as_group=_value(security.run_as_group),
        run_as_username=security.run_as_username,
        readonly_rootfs=security.readonly_rootfs,
        supplemental_groups=security.supplemental_groups,
        supplemental_groups_policy=wire(security.groups_policy),
        no_new_privs=security.no_new_privs,
        masked_paths=security.masked_paths,
        readonly_paths=security.readonly_paths,
        seccomp=maybe(_profile_to, security.seccomp),
        apparmor=maybe(_profile_to, security.apparmor),
    )


def namespaces_from(message: pb.NamespaceOption, field: str) -> NamespaceOptions:
    """`NamespaceOption`; an absent message means POD for all, as its zero values do."""
    userns = None
    if message.HasField("userns_options"):
        options = message.userns_options
        userns = UserNamespace(
            number(NamespaceMode, options.mode, f"{field}.userns_options.mode"),
            mappings_from(options.uids),
            mappings_from(options.gids),
        )
    return NamespaceOptions(
        network=number(NamespaceMode, message.network, f"{field}.network"),
        pid=number(NamespaceMode, message.pid, f"{field}.pid"),
        ipc=number(NamespaceMode, message.ipc, f"{field}.ipc"),
        target_id=message.target_id,
        userns=userns,
    )


def namespaces_to(options: NamespaceOptions) -> pb.NamespaceOption:
    """The reverse of `namespaces_from`."""
    return pb.NamespaceOption(
        network=wire(options.network),
        pid=wire(options.pid),
        ipc=wire(options.ipc),
        target_id=options.target_id,
        userns_options=maybe(_userns_to, options.userns),
    )


def _userns_to(userns: UserNamespace) -> pb.UserNamespace:
    return pb.UserNamespace(mode=wire(userns.mode), uids=mappings_to(userns.uids), gids=mappings_to(userns.gids))


def mappings_from(messages: Iterable[pb.IDMapping]) -> tuple[IdMapping, ...]:
    """Repeated `IDMapping`."""
    return tuple(IdMapping(m.host_id, m.container_id, m.length) for m in messages)


def mappings_to(mappings: Iterable[IdMapping]) -> list[pb.IDMapping]:
    """The reverse of `mappings_from`."""
    return [pb.IDMapping(host_id=m.host_id, container_id=m.container_id, length=m.length) for m in mappings]


def _profile_from(message: Any, name: str, deprecated: str, field: str) -> SecurityProfile | None:
    if message.HasField(name):
        profile = getattr(message, name)
        kind = number(ProfileType, profile.profile_type, f"{field}.{name}.profile_type")
        if kind is ProfileType.LOCALHOST and not profile.localhost_ref:
            raise InvalidArgument("a Localhost profile needs a reference", where=f"{field}.{name}.localhost_ref")
        return SecurityProfile(kind, text(profile.localhost_ref, f"{field}.{name}.localhost_ref"))
    if not deprecated:
        return None
    if deprecated in ("runtime/default", "docker/default"):
        return SecurityProfile(ProfileType.RUNTIME_DEFAULT)
    if deprecated == "unconfined":
        return SecurityProfile(ProfileType.UNCONFINED)
    if deprecated.startswith("localhost/") and deprecated != "localhost/":
        return SecurityProfile(ProfileType.LOCALHOST, text(deprecated.removeprefix("localhost/"), f"{field}.{name}"))
    raise InvalidArgument(
        f"unknown profile {deprecated!r}",
        where=f"{field}.{name}",
        todo="It is runtime/default, unconfined or localhost/NAME",
    )


def _profile_to(profile: SecurityProfile) -> pb.SecurityProfile:
    return pb.SecurityProfile(profile_type=wire(profile.type), localhost_ref=profile.localhost_ref)


def _selinux_from(message: Any) -> SELinux | None:
    if not message.HasField("selinux_options"):
        return None
    options = message.selinux_options
    return SELinux(options.user, options.role, options.type, options.level)


def _selinux_to(selinux: SELinux) -> pb.SELinuxOption:
    return pb.SELinuxOption(user=selinux.user, role=selinux.role, type=selinux.type, level=selinux.level)


def _int64(message: Any, name: str) -> int | None:
    return getattr(message, name).value if message.HasField(name) else None


def _value(number: int | None) -> pb.Int64Value | None:
    return None if number is None else pb.Int64Value(value=number)


def _group_needs_user(message: Any, field: str, has_user: bool) -> None:
    if message.HasField("run_as_group") and not has_user:
        raise InvalidArgument("run_as_group needs a user beside it", where=f"{field}.run_as_group")
