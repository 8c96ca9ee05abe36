"""Security contexts."""

from __future__ import annotations

import re

from cricket.kubelet.manifest.finding import Finding, Findings, Path, one_of
from cricket.kubelet.model.pod import PodSpec
from cricket.kubelet.model.security import AppArmorProfile, PodSecurityContext, SeccompProfile, SecurityContext
from cricket.kubelet.validate import names

_SYSCTL = re.compile(r"[a-z0-9]([-_a-z0-9]*[a-z0-9])?([./][a-z0-9]([-_a-z0-9]*[a-z0-9])?)*")
_NAMESPACED = ("net.", "fs.mqueue.", "kernel.msg", "kernel.sem", "kernel.shm")
_LARGEST_ID = (1 << 31) - 1


def container(path: Path, value: SecurityContext, spec: PodSpec) -> Findings:
    """Of a container."""
    yield from _ids(path, value)
    yield from _profiles(path, value)
    yield from one_of((*path, "procMount"), value.proc_mount, ("Default", "Unmasked"))
    if value.proc_mount == "Unmasked" and spec.host_users is not False:
        yield Finding((*path, "procMount"), "Unmasked needs the pod's hostUsers: false")
    added = {name.upper().removeprefix("CAP_") for name in value.capabilities.add} if value.capabilities else set()
    if value.allow_privilege_escalation is False:
        here = (*path, "allowPrivilegeEscalation")
        if value.privileged:
            yield Finding(here, "false and privileged: true exclude each other")
        if "SYS_ADMIN" in added:
            yield Finding(here, "false and the capability SYS_ADMIN exclude each other")


def pod(path: Path, value: PodSecurityContext, spec: PodSpec) -> Findings:
    """Of a pod."""
    yield from _ids(path, value)
    yield from _profiles(path, value)
    if value.fs_group is not None:
        yield from _id((*path, "fsGroup"), value.fs_group)
    for i, group in enumerate(value.supplemental_groups):
        yield from _id((*path, "supplementalGroups", i), group)
    yield from one_of((*path, "supplementalGroupsPolicy"), value.supplemental_groups_policy, ("Merge", "Strict"))
    yield from one_of((*path, "fsGroupChangePolicy"), value.fs_group_change_policy, ("Always", "OnRootMismatch"))
    seen = set()
    for i, sysctl in enumerate(value.sysctls):
        here = (*path, "sysctls", i, "name")
        name = sysctl.name.replace("/", ".")
        yield from _sysctl(here, name, spec)
        if name in seen:
            yield Finding(here, f'duplicate value "{sysctl.name}"')
        seen.add(name)


def _sysctl(path: Path, name: str, spec: PodSpec) -> Findings:
    if not name:
        yield Finding(path, "required value")
    elif len(name) > 253 or not _SYSCTL.fullmatch(name):
        yield Finding(path, f'"{name}" is no name of a sysctl')
    elif not name.startswith(_NAMESPACED):
        yield Finding(path, f'"{name}" belongs to the node, not to a pod: only {", ".join(_NAMESPACED)} do')
    elif name.startswith("net.") and spec.host_network:
        yield Finding(path, f'"{name}" excludes hostNetwork: true')
    elif not name.startswith("net.") and spec.host_ipc:
        yield Finding(path, f'"{name}" excludes hostIPC: true')


def _ids(path: Path, value: SecurityContext | PodSecurityContext) -> Findings:
    for field, number in (("runAsUser", value.run_as_user), ("runAsGroup", value.run_as_group)):
        if number is not None:
            yield from _id((*path, field), number)


def _id(path: Path, number: int) -> Findings:
    if not 0 <= number <= _LARGEST_ID:
        yield Finding(path, f"{number} is no id: 0 to {_LARGEST_ID}")


def _profiles(path: Path, value: SecurityContext | PodSecurityContext) -> Findings:
    for field, profile in (("seccompProfile", value.seccomp_profile), ("appArmorProfile", value.app_armor_profile)):
        if profile is not None:
            yield from _profile((*path, field), profile)
    if value.seccomp_profile is not None and value.seccomp_profile.localhost_profile:
        yield from names.relative(
            (*path, "seccompProfile", "localhostProfile"), value.seccomp_profile.localhost_profile
        )


def _profile(path: Path, profile: SeccompProfile | AppArmorProfile) -> Findings:
    yield from one_of((*path, "type"), profile.type, ("RuntimeDefault", "Unconfined", "Localhost"))
    here = (*path, "localhostProfile")
    if profile.type == "Localhost" and not profile.localhost_profile:
        yield Finding(here, "required value: the type is Localhost")
    if profile.type != "Localhost" and profile.localhost_profile:
        yield Finding(here, "only with the type Localhost")
