"""Seccomp profiles from files, in OCI's form or in Docker's (archMap, includes and excludes)."""

from __future__ import annotations

from collections.abc import Collection, Iterable

import msgspec

from cricket.errors import InvalidArgument, map_errors
from cricket.oci import seccomp_data as data
from cricket.oci.host import HostFacts, kernel_version
from cricket.oci.inputs import JsonDict

_MAX_PROFILE = 4 << 20


class _Filter(msgspec.Struct, rename="camel"):
    caps: list[str] | None = None
    arches: list[str] | None = None
    min_kernel: str = ""


class _Arg(msgspec.Struct, rename="camel"):
    index: int
    value: int
    op: str
    value_two: int = 0


class _Rule(msgspec.Struct, rename="camel"):
    action: str
    names: list[str] | None = None
    name: str = ""
    errno_ret: int | None = None
    args: list[_Arg] | None = None
    includes: _Filter | None = None
    excludes: _Filter | None = None


class _ArchMap(msgspec.Struct, rename="camel"):
    architecture: str
    sub_architectures: list[str] | None = None


class _Profile(msgspec.Struct, rename="camel"):
    default_action: str
    default_errno_ret: int | None = None
    architectures: list[str] | None = None
    arch_map: list[_ArchMap] | None = None
    flags: list[str] | None = None
    listener_path: str = ""
    listener_metadata: str = ""
    syscalls: list[_Rule] | None = None


# Names of architectures in Docker's files, by uname's machine.
_GO_ARCH = {"x86_64": "amd64", "aarch64": "arm64", "i686": "x86", "armv7l": "arm"}


def parse_profile(content: bytes, where: str) -> JsonDict:
    """A profile file as JSON values. Raises InvalidArgument that names the file and the bad field."""
    if len(content) > _MAX_PROFILE:
        raise InvalidArgument(f"the seccomp profile is larger than {_MAX_PROFILE} bytes", where=where)
    with map_errors((msgspec.MsgspecError, UnicodeDecodeError), InvalidArgument, "bad seccomp profile", where=where):
        msgspec.json.decode(content, type=_Profile)
        result: JsonDict = msgspec.json.decode(content)
    return result


def from_profile(profile: JsonDict, capabilities: Collection[str], host: HostFacts) -> JsonDict:
    """OCI `linux.seccomp` of a profile in OCI's form, or in Docker's with arch_map, includes and excludes.

    Raises InvalidArgument.
    """
    with map_errors(msgspec.MsgspecError, InvalidArgument, "bad seccomp profile"):
        parsed = msgspec.convert(profile, _Profile)
    result: JsonDict = {"defaultAction": parsed.default_action}
    if parsed.default_errno_ret is not None:
        result["defaultErrnoRet"] = parsed.default_errno_ret
    architectures = parsed.architectures or _mapped(parsed.arch_map or (), host.arch)
    if architectures:
        result["architectures"] = architectures
    for key, value in (
        ("flags", parsed.flags),
        ("listenerPath", parsed.listener_path),
        ("listenerMetadata", parsed.listener_metadata),
    ):
        if value:
            result[key] = value
    rules = [r for r in parsed.syscalls or () if _applies(r, capabilities, host)]
    result["syscalls"] = [_oci_rule(r) for r in rules]
    return result


def _mapped(maps: Iterable[_ArchMap], arch: str) -> list[str]:
    own = data.ARCHITECTURES.get(arch, ())
    for entry in maps:
        if own and entry.architecture == own[0]:
            return [entry.architecture, *(entry.sub_architectures or ())]
    return []


def _applies(rule: _Rule, capabilities: Collection[str], host: HostFacts) -> bool:
    arches = {host.arch, _GO_ARCH.get(host.arch, host.arch)}
    wanted, unwanted = rule.includes, rule.excludes
    if wanted is not None and not (
        (not wanted.arches or arches & set(wanted.arches))
        and all(c in capabilities for c in wanted.caps or ())
        and (not wanted.min_kernel or host.kernel >= kernel_version(wanted.min_kernel))
    ):
        return False
    return unwanted is None or not (
        arches & set(unwanted.arches or ())
        or any(c in capabilities for c in unwanted.caps or ())
        or (unwanted.min_kernel and host.kernel >= kernel_version(unwanted.min_kernel))
    )


def _oci_rule(rule: _Rule) -> JsonDict:
    names = rule.names or ([rule.name] if rule.name else [])
    if not names:
        raise InvalidArgument("a rule of the seccomp profile names no system call")
    result: JsonDict = {"names": names, "action": rule.action}
    if rule.errno_ret is not None:
        result["errnoRet"] = rule.errno_ret
    if rule.args:
        result["args"] = [msgspec.to_builtins(a) for a in rule.args]
    return result
