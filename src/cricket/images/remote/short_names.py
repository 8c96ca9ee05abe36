"""Short names: what "busybox" may mean where registries.conf has aliases or search registries."""

from __future__ import annotations

import msgspec

from cricket.errors import FailedPrecondition
from cricket.images.reference import Reference, is_short
from cricket.images.remote.registries_file import Registries


class Candidates(msgspec.Struct, frozen=True):
    """References to try in order (never empty), and why these."""

    references: tuple[Reference, ...]
    why: str


def candidates(text: str, registries: Registries) -> Candidates:
    """A name with a registry means itself; a short one its alias, else each search registry, else docker.io.

    Raises InvalidArgument for a malformed name, and FailedPrecondition where short-name-mode is "enforcing" and
    several registries could be meant.
    """
    reference = Reference.parse(text)
    if not is_short(text):
        return Candidates((reference,), "names its registry")
    rest = _suffix(reference)
    full, file = registries.aliases.get(_repository(text), ("", ""))
    if full:
        return Candidates((Reference.parse(full + rest),), f"an alias in {file}")
    if not registries.search:
        return Candidates((reference,), "a short name means docker.io")
    if registries.short_name_mode == "enforcing" and len(registries.search) > 1:
        raise FailedPrecondition(
            "a short name could be meant for several registries, and short-name-mode is enforcing",
            where=text,
            todo=f"Write the registry, or an alias; {registries.search_file} lists {', '.join(registries.search)}",
        )
    short = _repository(text)
    found = tuple(Reference.parse(f"{registry}/{short}{rest}") for registry in registries.search)
    return Candidates(found, f"unqualified-search-registries of {registries.search_file}")


def _suffix(reference: Reference) -> str:
    return str(reference)[len(reference.name) :]


def _repository(text: str) -> str:
    """A short name without tag and digest."""
    name = text.partition("@")[0]
    slash, colon = name.rfind("/"), name.rfind(":")
    return name[:colon] if colon > slash else name
