"""One file of the registries.conf layout, version 2; version 1 is converted."""

from __future__ import annotations

import msgspec

from cricket.errors import InvalidArgument
from cricket.images.reference import Reference, is_short
from cricket.images.remote.toml_table import Table, read_table

_MODES = ("", "enforcing", "permissive", "disabled")
_MIRROR_USES = ("", "all", "digest-only", "tag-only")


class Mirror(msgspec.Struct, frozen=True):
    """A [[registry.mirror]]; `use` is "all", "digest-only" or "tag-only"."""

    location: str
    insecure: bool = False
    use: str = "all"


class Registry(msgspec.Struct, frozen=True):
    """A [[registry]]; `file` is where it was written."""

    prefix: str
    location: str
    file: str
    insecure: bool = False
    blocked: bool = False
    mirrors: tuple[Mirror, ...] = ()


class Registries(msgspec.Struct, frozen=True):
    """One file, or several merged; None and "" mean that nothing was said.

    `registries` by prefix; `search` are unqualified-search-registries, said in `search_file`; `aliases` maps short
    names to (full name, file), and a full name "" unsets an alias; `notes` tell what was ignored.
    """

    registries: dict[str, Registry] = {}
    search: tuple[str, ...] | None = None
    search_file: str = ""
    short_name_mode: str = ""
    credential_helpers: tuple[str, ...] | None = None
    aliases: dict[str, tuple[str, str]] = {}
    files: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def read_registries(path: str, dropin: bool) -> Registries | None:
    """Read one file; None when it is missing. Raises FailedPrecondition that names the file and the key.

    A drop-in cannot be of version 1 ([registries.search], [registries.insecure], [registries.block]).
    """
    table = read_table(path)
    if table is None:
        return None
    if isinstance(table.values.get("registries"), dict):
        return _version1(table, dropin)
    found: dict[str, Registry] = {}
    for item in table.tables("registry"):
        registry = _registry(item)
        found.setdefault(registry.prefix, registry)  # the first of a prefix counts
    search = table.texts("unqualified-search-registries")
    mode = table.text("short-name-mode")
    if mode not in _MODES:
        raise table.wrong("short-name-mode", f"{mode!r} is not a mode", f"Known: {', '.join(_MODES[1:])}")
    table.text("additional-layer-store-auth-helper")
    helpers = table.texts("credential-helpers")
    aliases = _aliases(table.table("aliases"))
    return Registries(
        found,
        None if search is None else tuple(_search(table, item) for item in search),
        path,
        mode,
        helpers,
        aliases,
        (path,),
        tuple(f"{path}: key {key} is not known, ignored" for key in table.unknown()),
    )


def _version1(table: Table, dropin: bool) -> Registries:
    if dropin or "registry" in table.values:
        raise table.wrong("registries", "version 1 of the format has no drop-ins and cannot be mixed with version 2")
    below = table.table("registries")
    lists = {key: below.table(key).texts("registries") or () for key in ("search", "insecure", "block")}
    names = [_location(below, "insecure", name) for name in (*lists["insecure"], *lists["block"])]
    found = {
        name: Registry(name, name, table.file, insecure=name in lists["insecure"], blocked=name in lists["block"])
        for name in names
    }
    search = tuple(_search(below, name) for name in lists["search"])
    return Registries(found, search, table.file, files=(table.file,))


def _search(table: Table, name: str) -> str:
    text = _location(table, "unqualified-search-registries", name)
    if "/" in text or not text:
        raise table.wrong("unqualified-search-registries", f"{name!r} is not a host with an optional port")
    return text


def _registry(table: Table) -> Registry:
    location, prefix = _location(table, "location"), _location(table, "prefix")
    if not prefix and not location:
        raise table.wrong("prefix", "a registry needs a prefix or a location")
    if prefix and not location and not prefix.startswith("*."):
        raise table.wrong("location", "missing: only a prefix like *.example.com goes without")
    prefix = prefix or location
    if prefix.startswith("*.") and any(c in prefix for c in "/@:"):
        raise table.wrong("prefix", f"{prefix!r} is not of the form *.example.com")
    if table.text("pull-from-mirror"):
        raise table.wrong("pull-from-mirror", "belongs into [[registry.mirror]]")
    by_digest = bool(table.flag("mirror-by-digest-only"))
    mirrors = tuple(_mirror(item, by_digest) for item in table.tables("mirror"))
    return Registry(prefix, location, table.file, bool(table.flag("insecure")), bool(table.flag("blocked")), mirrors)


def _mirror(table: Table, by_digest: bool) -> Mirror:
    location, use = _location(table, "location"), table.text("pull-from-mirror")
    if not location:
        raise table.wrong("location", "a mirror needs a location")
    if use not in _MIRROR_USES:
        raise table.wrong("pull-from-mirror", f"{use!r} is not known", "Known: all, digest-only, tag-only")
    if by_digest and use:
        raise table.wrong("pull-from-mirror", "cannot be set together with the registry's mirror-by-digest-only")
    return Mirror(location, bool(table.flag("insecure")), "digest-only" if by_digest else use or "all")


def _location(table: Table, key: str, value: str | None = None) -> str:
    text = (table.text(key) if value is None else value).rstrip("/")
    if "://" in text:
        raise table.wrong(key, f"{text!r} has a scheme", "Write host/path; for plain http set insecure = true.")
    return text


def _aliases(table: Table) -> dict[str, tuple[str, str]]:
    found = {}
    for name, value in table.values.items():
        if not isinstance(value, str):
            raise table.wrong(name, "a string is wanted")
        try:
            short = Reference.parse(name)
            full = Reference.parse(value) if value else None
        except InvalidArgument as e:
            raise table.wrong(name, e.what) from e
        if not is_short(name) or "@" in name or short.tag != "latest" or name.endswith(":latest"):
            raise table.wrong(name, "an alias is a name without registry, tag and digest")
        if full is not None and (is_short(value) or full.name != str(full).removesuffix(":latest")):
            raise table.wrong(name, f"{value!r} must name registry and repository, without tag and digest")
        found[name] = (full.name if full else "", table.file)
    return found
