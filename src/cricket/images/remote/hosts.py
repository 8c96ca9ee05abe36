"""containerd's registry configuration: certs.d/<host>/hosts.toml (containerd docs/hosts.md), read as it is.

A directory is found by `host_port_`, `host:port` or `host`; `_default` serves hosts without one.
"""

from __future__ import annotations

import os
import posixpath
import re
from typing import Any
from urllib.parse import urlsplit

import msgspec

from cricket.images.reference import Reference
from cricket.images.remote.endpoint import (
    DIAL_TIMEOUT,
    HUB_HOST,
    Endpoint,
    Tls,
    is_loopback,
    registry_endpoint,
    split_host,
)
from cricket.images.remote.toml_table import Table, read_table

_CAPABILITIES = ("pull", "resolve", "push", "referrers")
_DURATION = re.compile(r"([0-9]+(?:\.[0-9]*)?)(ns|us|µs|ms|s|m|h)")
_SECONDS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


class HostsFile(msgspec.Struct, frozen=True):
    """One hosts.toml, applied to a reference: endpoints in order (the server last), notes on what was ignored."""

    path: str
    endpoints: tuple[Endpoint, ...]
    notes: tuple[str, ...] = ()


def directory_names(host: str) -> list[str]:
    """Names under which a host's directory may be found, in the order of trying."""
    name, port = split_host(host)
    return [f"{name}_{port}_", host] if port else [host]


def find_hosts_file(roots: tuple[str, ...], host: str) -> str | None:
    """The first hosts.toml for exactly this host ("_default" for the rest); an empty file does not count."""
    for root in roots:
        for name in directory_names(host):
            path = os.path.join(root, name, "hosts.toml")
            if os.path.isfile(path) and os.path.getsize(path) > 0:
                return path
    return None


def load_hosts(path: str, reference: Reference) -> HostsFile:
    """Read a hosts.toml. Raises FailedPrecondition that names the file and the key."""
    table = read_table(path)
    if table is None:
        return HostsFile(path, ())
    endpoints, notes = [], []
    server = table.text("server")
    for name, below in table.named_tables("host"):
        endpoints.append(_host(name, below, reference, f"mirror in {path}"))
        notes += below.unknown()
    if server:
        endpoints.append(_host(server, table, reference, f"server in {path}"))
    else:
        endpoints.append(_default_server(table, reference, f"the registry itself, with the settings of {path}"))
    notes += table.unknown()
    return HostsFile(path, tuple(endpoints), tuple(f"{path}: key {key} is not known, ignored" for key in notes))


def _host(name: str, table: Table, reference: Reference, why: str) -> Endpoint:
    url = _api_root(name, table)
    host = url.partition("://")[2].partition("/")[0]
    pull, resolve = _capabilities(table)
    verify = table.flag("skip_verify")
    tls = _tls(table, skip=bool(verify))
    explicit = verify is not None or bool(tls.ca or tls.client)
    fallback = url.startswith("http://") and explicit and split_host(host)[1] != "80"
    own = host == reference.domain or (reference.domain == "docker.io" and host == HUB_HOST)
    return Endpoint(
        "https://" + url[len("http://") :] if fallback else url,
        reference.path,
        why,
        pull=pull,
        resolve=resolve,
        tls=tls,
        headers=_headers(table),
        dial_timeout=_duration(table, "dial_timeout", DIAL_TIMEOUT),
        http_fallback=fallback,
        namespace="" if own else reference.domain,
        upstream=own,
    )


def _default_server(table: Table, reference: Reference, why: str) -> Endpoint:
    verify = table.flag("skip_verify")
    local = is_loopback(reference.domain)
    _capabilities(table)  # validated, but containerd gives the registry itself all of them
    endpoint = registry_endpoint(reference, why, tls=_tls(table, skip=bool(verify) if verify is not None else local))
    timeout = _duration(table, "dial_timeout", DIAL_TIMEOUT)
    return msgspec.structs.replace(endpoint, headers=_headers(table), dial_timeout=timeout)


def _api_root(name: str, table: Table) -> str:
    text = name if "://" in name else f"https://{name}"
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError as e:
        raise table.wrong("", f"{name!r} is not a URL") from e
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        raise table.wrong("", f"{name!r} is not an http or https URL with a host")
    if parts.username is not None or parts.query or parts.fragment:
        raise table.wrong("", f"{name!r} has more than scheme, host and path", "Give credentials by auth files.")
    path = posixpath.normpath(parts.path) if parts.path else ""
    path = "" if path in (".", "/", "//") else path
    if not table.flag("override_path") and not path.endswith("/v2"):
        path += "/v2"
    return f"{parts.scheme}://{parts.netloc}{path}"


def _capabilities(table: Table) -> tuple[bool, bool]:
    """(pull, resolve)."""
    names = table.texts("capabilities")
    if not names:
        return True, True
    lower = [name.lower() for name in names]
    for name in lower:
        if name not in _CAPABILITIES:
            raise table.wrong("capabilities", f"{name!r} is not a capability", f"Known: {', '.join(_CAPABILITIES)}")
    return "pull" in lower, "resolve" in lower


def _tls(table: Table, skip: bool) -> Tls:
    ca = table.raw("ca")
    base = os.path.dirname(table.file)
    files = [ca] if isinstance(ca, str) else ([] if ca is None else ca)
    if not isinstance(files, list) or not all(isinstance(item, str) for item in files):
        raise table.wrong("ca", "a path or a list of paths is wanted")
    paths = tuple(_readable(table, "ca", os.path.join(base, item)) for item in files)
    return Tls(not skip, paths, tuple(_client_pairs(table, base)))


def _client_pairs(table: Table, base: str) -> list[tuple[str, str]]:
    value = table.raw("client")
    items: list[Any] = [value] if isinstance(value, str) else ([] if value is None else value)
    pairs = []
    for item in items if isinstance(items, list) else [None]:
        both = [item, item] if isinstance(item, str) else item
        if not isinstance(both, list) or len(both) != 2 or not all(isinstance(path, str) for path in both):
            raise table.wrong("client", "a path, a list of paths, or a list of [certificate, key] is wanted")
        cert, key = (_readable(table, "client", os.path.join(base, path)) for path in both)
        pairs.append((cert, key))
    return pairs


def _readable(table: Table, key: str, path: str) -> str:
    if not os.access(path, os.R_OK):
        raise table.wrong(key, f"cannot read {path}")
    return path


def _headers(table: Table) -> tuple[tuple[str, str], ...]:
    found = []
    below = table.table("header")
    for name, value in below.values.items():
        values = [value] if isinstance(value, str) else value
        if not isinstance(values, list) or not all(isinstance(item, str) for item in values):
            raise below.wrong(name, "a string or a list of strings is wanted")
        if not _HEADER.fullmatch(name) or any(c in item for item in values for c in "\r\n\0"):
            raise below.wrong(name, "not a valid HTTP header")
        found += [(name, item) for item in values]
    return tuple(found)


def _duration(table: Table, key: str, default: float) -> float:
    """Seconds of a duration as Go writes it, like "1m30s" or "500ms"."""
    text = table.text(key)
    if not text:
        return default
    parts = _DURATION.findall(text)
    if "".join(number + unit for number, unit in parts) != text:
        raise table.wrong(key, f"{text!r} is not a duration", 'Write it like "10s" or "1m30s".')
    return sum(float(number) * _SECONDS[unit] for number, unit in parts) or default
