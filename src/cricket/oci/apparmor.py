"""AppArmor: which profile a container runs under, and our default profile."""

from __future__ import annotations

from cricket.errors import FailedPrecondition, Internal, InvalidArgument, map_errors
from cricket.oci.host import HostFacts
from cricket.types.security import ProfileType, SecurityProfile

BUILT_IN = "cricket-default"
_LOADED = "/sys/kernel/security/apparmor/profiles"
_TIMEOUT = 30.0


def choose(profile: SecurityProfile | None, privileged: bool, host: HostFacts, default: str = BUILT_IN) -> str:
    """OCI `process.apparmorProfile`, "" for none.

    On a host with AppArmor no profile means the default one, as in the peers. Privileged containers have none. Raises
    FailedPrecondition when a profile is asked for and the host has no AppArmor.
    """
    if privileged or (profile is not None and profile.type == ProfileType.UNCONFINED):
        return ""
    if not host.apparmor:
        if profile is not None:
            raise FailedPrecondition(
                "an AppArmor profile is asked for, but this host has no AppArmor", where="apparmor"
            )
        return ""
    if profile is None or profile.type == ProfileType.RUNTIME_DEFAULT:
        return default
    name = profile.localhost_ref
    if not name or "\0" in name or "\n" in name:
        raise InvalidArgument(f"{name[:200]!r} is no name of a profile", where="apparmor.localhost_ref")
    return name


def is_loaded(name: str, profiles: str = _LOADED) -> bool:
    """Whether the kernel has a profile of that name. Raises Internal when it does not tell."""
    with map_errors(OSError, Internal, "cannot list AppArmor profiles", where=profiles), open(profiles) as f:
        return any(line.rpartition(" (")[0] == name for line in f)


async def ensure_loaded(name: str, profiles: str = _LOADED) -> None:
    """Load the built-in profile unless it is there; any other must be there. Idempotent.

    Raises FailedPrecondition for a missing profile, Internal when apparmor_parser fails.
    """
    if is_loaded(name, profiles):
        return
    if name != BUILT_IN:
        raise FailedPrecondition(f"the AppArmor profile {name!r} is not loaded", todo="Load it with apparmor_parser.")
    # Here, so that generating specs does not load asyncio.
    from cricket.kernel.process import run

    result = await run(["apparmor_parser", "--replace", "--skip-cache"], stdin=_PROFILE.encode(), timeout=_TIMEOUT)
    if result.code:
        raise Internal(f"apparmor_parser refused the built-in profile: {result.error_text}", where=name)


# A container may do what its capabilities and seccomp allow, but neither mount, nor turn the switches of the kernel in
# /proc and /sys (but for sysctls of its namespaces), nor look into processes outside.
_PROFILE = f"""
#include <tunables/global>

profile {BUILT_IN} flags=(attach_disconnected,mediate_deleted) {{
  #include <abstractions/base>

  capability,
  file,
  network,
  umount,
  deny mount,

  ptrace peer={BUILT_IN},
  signal peer={BUILT_IN},
  signal (receive) peer=unconfined,
  signal (receive) peer={{crun,runc,/usr/bin/crun,/usr/sbin/runc,/usr/bin/runc}},

  deny @{{PROC}}/{{kcore,kmem,mem,sysrq-trigger}} rwklx,
  deny @{{PROC}}/{{acpi,bus,fs,irq,scsi}}/** wklx,
  deny @{{PROC}}/sys/{{abi,crypto,debug,dev,sunrpc,user,vm}}/** wklx,
  deny @{{PROC}}/sys/fs/[^m]** wklx,
  deny @{{PROC}}/sys/kernel/{{[^dhms],d[^o],h[^o],m[^s],s[^eh]}}** wklx,
  deny /sys/{{block,bus,class,dev,devices,hypervisor,kernel,module,power}}/** wklx,
  deny /sys/fs/[^c]** wklx,
  deny /sys/{{firmware,kernel/security,devices/virtual/powercap}}/** rwklx,
}}
"""
