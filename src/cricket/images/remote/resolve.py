"""Which endpoints a reference goes to, in which order, and why.

The first of these that says something about the registry decides:

1. a registries.conf entry that blocks it: refused, whatever else is configured
2. <certs_dir>/<host>/hosts.toml, directories in the order of the configuration
3. the registries.conf entry with the longest matching prefix
4. <certs_dir>/_default/hosts.toml
5. built in: https to the registry itself; loopback as containerd does

An endpoint without TLS settings of its own takes the certificates of <certs_dir>/<its host>/.
"""

from __future__ import annotations

import msgspec

from cricket.errors import FailedPrecondition
from cricket.images.reference import Reference
from cricket.images.remote.certs import find_certs
from cricket.images.remote.endpoint import HUB_HOST, Endpoint, RegistryPaths, Resolution, Tls, registry_endpoint
from cricket.images.remote.hosts import find_hosts_file, load_hosts
from cricket.images.remote.registries_conf import check_blocked, find_registry, load_registries, registry_endpoints
from cricket.images.remote.registries_file import Registries


def resolve_endpoints(reference: Reference, paths: RegistryPaths) -> list[Endpoint]:
    """The endpoints in the order of trying; the registry itself is the last.

    Raises PermissionDenied when the registry is blocked, FailedPrecondition for broken configuration (it names file
    and key) and for one that leaves no endpoint able to serve this kind of reference.
    """
    return list(resolve(reference, paths).endpoints)


def resolve(reference: Reference, paths: RegistryPaths, registries: Registries | None = None) -> Resolution:
    """Like `resolve_endpoints`, with the trail of decisions. `registries` saves reading registries.conf again."""
    if registries is None:
        registries = load_registries(paths.registries_conf)
    trail = [f"read {path}" for path in registries.files] + list(registries.notes)
    entry = find_registry(registries, reference)
    if entry is not None:
        trail.append(f"{entry.file} has the matching prefix {entry.prefix}")
        check_blocked(entry, reference)
    endpoints = (
        _from_hosts(reference, paths, reference.domain, trail)
        or (registry_endpoints(entry, reference) if entry is not None else [])
        or _from_hosts(reference, paths, "_default", trail)
    )
    if not endpoints:
        trail.append("nothing is configured for this registry: built-in rules")
        endpoints = [registry_endpoint(reference, "built in")]
    able = [_with_certs(e, reference, paths, trail) for e in endpoints if e.pull and (reference.digest or e.resolve)]
    if not able:
        kind = "digests" if reference.digest else "tags"
        raise FailedPrecondition(
            f"no configured endpoint may serve {kind} of this registry",
            where=str(reference),
            todo=f"See {'; '.join(e.why for e in endpoints)}",
        )
    return Resolution(reference, tuple(able), tuple(trail))


def explain(text: str, paths: RegistryPaths) -> str:
    """For people: what a name means and where its pulls go, one line each (`cricket config registries NAME`).

    Raises what `resolve_endpoints` raises.
    """
    from cricket.images.remote.short_names import candidates

    registries = load_registries(paths.registries_conf)
    found = candidates(text, registries)
    lines = [f"{text}: {found.why}"]
    for reference in found.references:
        resolution = resolve(reference, paths, registries)
        lines.append(f"{reference}")
        lines += [f"  {line}" for line in resolution.trail]
        for number, endpoint in enumerate(resolution.endpoints, 1):
            lines.append(f"  {number}. {endpoint.url}/{endpoint.repository} ({_features(endpoint)})")
            lines.append(f"     {endpoint.why}")
    return "\n".join(lines)


def _features(endpoint: Endpoint) -> str:
    words = ["tags and digests" if endpoint.resolve else "digests only"]
    if endpoint.http_fallback:
        words.append("plain http when https fails")
    elif endpoint.plain:
        words.append("plain http")
    if endpoint.url.startswith("https:") and not endpoint.tls.verify:
        words.append("any certificate")
    words += [f"CA {path}" for path in endpoint.tls.ca]
    words += [f"client certificate {cert}" for cert, _ in endpoint.tls.client]
    words += [f"header {name}" for name, _ in endpoint.headers]
    return ", ".join(words)


def _from_hosts(reference: Reference, paths: RegistryPaths, host: str, trail: list[str]) -> list[Endpoint]:
    path = find_hosts_file(paths.certs_dirs, host)
    if path is None:
        trail.append(f"no hosts.toml for {host} in {', '.join(paths.certs_dirs) or 'no directory'}")
        return []
    found = load_hosts(path, reference)
    trail.append(f"read {path}")
    trail.extend(found.notes)
    return list(found.endpoints)


def _with_certs(endpoint: Endpoint, reference: Reference, paths: RegistryPaths, trail: list[str]) -> Endpoint:
    plain = endpoint.url.startswith("http://")
    if plain or endpoint.tls not in (Tls(), Tls(verify=False)):
        return endpoint
    hosts = [endpoint.host] + (["docker.io"] if endpoint.host == HUB_HOST else [])
    for host in hosts:
        found = find_certs(paths.certs_dirs, host, endpoint.tls.verify)
        if found is not None:
            trail.append(f"certificates for {endpoint.host} from {found[0]}")
            return msgspec.structs.replace(endpoint, tls=found[1])
    return endpoint
