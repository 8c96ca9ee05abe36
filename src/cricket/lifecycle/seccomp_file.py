"""Reading seccomp profiles from files of the node."""

from __future__ import annotations

from typing import Any

from cricket.errors import InvalidArgument, map_errors
from cricket.lifecycle.parts import Parts
from cricket.oci.seccomp_profile import parse_profile
from cricket.types.security import ProfileType, SecurityProfile

_LIMIT = 4 << 20


def seccomp_file(e: Parts, profile: SecurityProfile | None) -> dict[str, Any] | None:
    """The parsed profile file when one is to be used: a Localhost profile, or the configured default."""
    if profile is None or profile.type is ProfileType.UNCONFINED:
        return None
    path = profile.localhost_ref if profile.type is ProfileType.LOCALHOST else e.config.seccomp.profile
    if not path:
        return None
    if not path.startswith("/"):
        raise InvalidArgument("a Localhost seccomp profile is an absolute path", where=path)
    with map_errors(OSError, InvalidArgument, "cannot read the seccomp profile", where=path), open(path, "rb") as f:
        return parse_profile(f.read(_LIMIT), path)
