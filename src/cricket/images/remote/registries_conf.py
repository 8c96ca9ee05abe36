"""containers' registries.conf (containers-registries.conf(5)) as a whole, merged, and what it says of a reference."""

from __future__ import annotations

import msgspec

from cricket.errors import InvalidArgument, PermissionDenied
from cricket.images.reference import Reference
from cricket.images.remote.endpoint import Endpoint, registry_endpoint
from cricket.images.remote.registries_file import Registries, Registry, read_registries
from cricket.images.remote.toml_table import list_files


def load_registries(paths: tuple[str, ...]) -> Registries:
    """Read each file and then its directory `<file>.d` (*.conf by name); later ones replace what they name.

    Missing files are no error. Raises FailedPrecondition that names the file and the key.
    """
    merged = Registries()
    for main in paths:
        for path in [main, *list_files(f"{main}.d", ".conf")]:
            found = read_registries(path, dropin=path != main)
            if found is not None:
                merged = _merge(merged, found)
    return merged


def _merge(base: Registries, over: Registries) -> Registries:
    return Registries(
        {**base.registries, **over.registries},
        base.search if over.search is None else over.search,
        base.search_file if over.search is None else over.search_file,
        over.short_name_mode or base.short_name_mode,
        base.credential_helpers if over.credential_helpers is None else over.credential_helpers,
        {**base.aliases, **over.aliases},
        base.files + over.files,
        base.notes + over.notes,
    )


def find_registry(registries: Registries, reference: Reference) -> Registry | None:
    """The [[registry]] with the longest prefix that matches."""
    best = None
    for registry in registries.registries.values():
        longer = best is None or len(registry.prefix) > len(best.prefix)
        if longer and _match(registry.prefix, reference) >= 0:
            best = registry
    return best


def check_blocked(registry: Registry, reference: Reference) -> None:
    """Raise PermissionDenied when pulls from it are blocked."""
    if registry.blocked:
        raise PermissionDenied(
            f"the registry {registry.prefix} is blocked", where=str(reference), todo=f"See {registry.file}"
        )


def registry_endpoints(registry: Registry, reference: Reference) -> list[Endpoint]:
    """Its mirrors that may serve this kind of reference, then its own location. Raises InvalidArgument."""
    found = []
    for mirror in registry.mirrors:
        if mirror.use == "all" or mirror.use == ("digest-only" if reference.digest else "tag-only"):
            rewritten = _rewrite(registry, mirror.location, reference)
            endpoint = registry_endpoint(
                rewritten, f"mirror of {registry.prefix} in {registry.file}", insecure=mirror.insecure
            )
            found.append(msgspec.structs.replace(endpoint, upstream=False))
    own = _rewrite(registry, registry.location, reference)
    why = f"location of {registry.prefix} in {registry.file}"
    found.append(registry_endpoint(own, why, insecure=registry.insecure))
    return found


def _match(prefix: str, reference: Reference) -> int:
    """The length of the reference's text that the prefix covers, -1 when it does not match."""
    text = str(reference)
    if prefix.startswith("*."):
        host, _, _ = reference.domain.partition(":")
        return len(host) if host.endswith(prefix[1:]) else -1
    if not text.startswith(prefix):
        return -1
    rest = text[len(prefix) :]
    # A prefix without a slash is a whole registry: "example.com" is not "example.com:5000".
    ends = ("/",) if "/" not in prefix else ("/", ":", "@")
    return len(prefix) if not rest or rest.startswith(ends) else -1


def _rewrite(registry: Registry, location: str, reference: Reference) -> Reference:
    if not location:
        return reference
    text = location + str(reference)[_match(registry.prefix, reference) :]
    try:
        return Reference.parse(text)
    except InvalidArgument as e:
        raise InvalidArgument(
            f"the location {location!r} makes no valid reference", where=f"{registry.file}, prefix {registry.prefix}"
        ) from e
