"""Finding records by unique id prefix and by reserved name."""

from __future__ import annotations

from collections.abc import Mapping

from cricket.errors import InvalidArgument, NotFound


def resolve(ids: Mapping[str, object], prefix: str, kind: str) -> str:
    """The id that `prefix` stands for: itself, or the only id that begins with it.

    Raises NotFound (also for ""), InvalidArgument when several ids begin with it. A full id costs one lookup.
    """
    if prefix and prefix in ids:
        return prefix
    found = [i for i in ids if i.startswith(prefix)] if prefix else []
    if not found:
        raise NotFound(f"no such {kind}", where=prefix or "empty id")
    if len(found) > 1:
        raise InvalidArgument(
            f"the id is ambiguous: {len(found)} {kind}s begin with it", where=prefix, todo="Give more of its digits."
        )
    return found[0]
