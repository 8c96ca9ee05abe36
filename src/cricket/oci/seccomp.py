"""Seccomp: which profile a container gets, and the RuntimeDefault profile."""

from __future__ import annotations

from collections.abc import Collection

from cricket.errors import FailedPrecondition, InvalidArgument
from cricket.oci import seccomp_data as data
from cricket.oci.host import HostFacts
from cricket.oci.inputs import JsonDict
from cricket.oci.seccomp_profile import from_profile
from cricket.types.security import ProfileType, SecurityProfile

ALLOW, ERRNO = "SCMP_ACT_ALLOW", "SCMP_ACT_ERRNO"
_ENOSYS = 38


def choose(
    profile: SecurityProfile | None,
    privileged: bool,
    custom: JsonDict | None,
    capabilities: Collection[str],
    host: HostFacts,
) -> JsonDict | None:
    """OCI `linux.seccomp`, or None for unconfined: without a profile, with Unconfined, and for the privileged.

    `custom` is the parsed file of a Localhost profile, or of one that replaces the built-in default. Raises
    FailedPrecondition where the kernel has no seccomp.
    """
    if profile is None or privileged or profile.type == ProfileType.UNCONFINED:
        return None
    if not host.seccomp:
        raise FailedPrecondition("a seccomp profile is asked for, but this kernel has no seccomp", where="seccomp")
    if custom is not None:
        return from_profile(custom, capabilities, host)
    if profile.type == ProfileType.LOCALHOST:
        raise InvalidArgument("the seccomp profile was not read", where=profile.localhost_ref)
    return default_profile(capabilities, host.arch, host.kernel)


def default_profile(capabilities: Collection[str], arch: str, kernel: tuple[int, int]) -> JsonDict:
    """The RuntimeDefault profile for a bounding set of capabilities ("CAP_..."), uname's machine and kernel version."""
    allowed = data.words(data.ALWAYS) + data.words(data.BY_ARCH.get(arch, ""))
    if kernel >= data.TRACING_SINCE:
        allowed += data.words(data.TRACING)
    for capability, names in data.BY_CAPABILITY.items():
        if capability in capabilities:
            allowed += data.words(names)
    rules = [_allow(list(dict.fromkeys(allowed))), *_sockets()]
    rules += [_allow(["personality"], _arg(0, "EQ", value)) for value in data.PERSONALITIES]
    if "CAP_SYS_ADMIN" not in capabilities:
        # On s390 the flags are clone's second argument. clone3's are in memory that a filter cannot read: "not
        # implemented" makes libc fall back to clone.
        flags = 1 if arch == "s390x" else 0
        rules.append(_allow(["clone"], _arg(flags, "MASKED_EQ", data.NAMESPACE_FLAGS)))
        rules.append({"names": ["clone3"], "action": ERRNO, "errnoRet": _ENOSYS})
    result: JsonDict = {"defaultAction": ERRNO, "syscalls": rules}
    if data.ARCHITECTURES.get(arch):
        result["architectures"] = list(data.ARCHITECTURES[arch])
    return result


def _sockets() -> list[JsonDict]:
    """Every family but AF_ALG (38) and AF_VSOCK (40), as one comparison a rule.

    Runtimes turn two comparisons of one argument into alternatives, and libseccomp lets an unconditional rule win, so
    "not 38 and not 40" has to be spelled "below 38, 39, above 40".
    """
    return [
        _allow(["socket"], _arg(0, "LT", data.AF_ALG)),
        *(_allow(["socket"], _arg(0, "EQ", family)) for family in range(data.AF_ALG + 1, data.AF_VSOCK)),
        _allow(["socket"], _arg(0, "GT", data.AF_VSOCK)),
    ]


def _allow(names: list[str], *args: JsonDict) -> JsonDict:
    rule: JsonDict = {"names": names, "action": ALLOW}
    if args:
        rule["args"] = list(args)
    return rule


def _arg(index: int, op: str, value: int) -> JsonDict:
    arg: JsonDict = {"index": index, "value": value, "op": f"SCMP_CMP_{op}"}
    if op == "MASKED_EQ":
        arg["valueTwo"] = 0
    return arg
