"""Endpoints as values: one place to ask for a repository, with all that is needed to speak to it."""

from __future__ import annotations

import msgspec

from cricket.errors import InvalidArgument
from cricket.images.reference import Reference

HUB_HOST = "registry-1.docker.io"
DIAL_TIMEOUT = 30.0


class RegistryPaths(msgspec.Struct, frozen=True):
    """Where registry configuration is read from (the `[images]` keys of the same names)."""

    certs_dirs: tuple[str, ...] = ()
    registries_conf: tuple[str, ...] = ()


class Tls(msgspec.Struct, frozen=True):
    """`verify` False accepts any certificate; `ca` are PEM files added to the system's; `client` (cert, key) pairs."""

    verify: bool = True
    ca: tuple[str, ...] = ()
    client: tuple[tuple[str, str], ...] = ()


class Endpoint(msgspec.Struct, frozen=True):
    """One registry API that may serve a reference.

    `url` is the API's root without a final slash ("https://example.com/v2"); `repository` the path below it, rewritten
    where the configuration says so. `resolve` allows asking for tags, `pull` for digests. `http_fallback`: https is
    tried first, then plain http. `namespace` goes into `?ns=` for containerd's kind of mirror. `why` says which file
    or rule made this endpoint. `dial_timeout` in seconds.
    """

    url: str
    repository: str
    why: str
    pull: bool = True
    resolve: bool = True
    tls: Tls = Tls()
    headers: tuple[tuple[str, str], ...] = ()
    dial_timeout: float = DIAL_TIMEOUT
    http_fallback: bool = False
    namespace: str = ""
    upstream: bool = True

    @property
    def host(self) -> str:
        """Host with port, as written."""
        return self.url.partition("://")[2].partition("/")[0]

    @property
    def plain(self) -> bool:
        """Whether plain http was configured, by URL or as a fallback."""
        return self.http_fallback or self.url.startswith("http://")


class Resolution(msgspec.Struct, frozen=True):
    """The endpoints for a reference in the order of trying, and the trail of what was looked at and why."""

    reference: Reference
    endpoints: tuple[Endpoint, ...]
    trail: tuple[str, ...]


def split_host(host: str) -> tuple[str, str]:
    """("example.com", "5000"); the port is "" when there is none; brackets of IPv6 stay."""
    name, colon, port = host.rpartition(":")
    if not colon or port.endswith("]"):
        return host, ""
    return name, port


def is_loopback(host: str) -> bool:
    """Whether a host with optional port is this machine: localhost, 127.0.0.0/8, [::1]."""
    name = split_host(host)[0].lower()
    if name in ("localhost", "[::1]"):
        return True
    parts = name.split(".")
    return len(parts) == 4 and parts[0] == "127" and all(p.isdecimal() and int(p) < 256 for p in parts)


def registry_endpoint(reference: Reference, why: str, *, insecure: bool = False, tls: Tls | None = None) -> Endpoint:
    """The registry that a reference names itself, by the built-in rules.

    docker.io is served by registry-1.docker.io. Loopback is what containerd makes of it: any certificate is good, and
    on a port other than 443 plain http is the fallback. `insecure` does the same for any host (registries.conf).
    """
    host = HUB_HOST if reference.domain == "docker.io" else reference.domain
    name, port = split_host(host)
    if port and not 0 < int(port) < 65536:
        raise InvalidArgument("the registry's port is not between 1 and 65535", where=str(reference))
    local = is_loopback(host)
    scheme = "http" if local and port == "80" else "https"
    fallback = insecure or (local and port not in ("", "80", "443"))
    if tls is None:
        tls = Tls(verify=not (insecure or local))
    return Endpoint(f"{scheme}://{host}/v2", reference.path, why, tls=tls, http_fallback=fallback and scheme == "https")
