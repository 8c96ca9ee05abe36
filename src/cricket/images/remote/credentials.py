"""Whose name and secret to give to a registry: from the CRI request, or from files in Docker's config.json form."""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any

import msgspec

from cricket.errors import FailedPrecondition, InvalidArgument
from cricket.images.reference import Reference
from cricket.images.remote.endpoint import Endpoint
from cricket.types.image import RegistryAuth

_HUB_NAMES = ("docker.io", "index.docker.io", "registry-1.docker.io")
_FILE_MAX = 4 << 20


class Credentials(msgspec.Struct, frozen=True):
    """One of: name and secret; an identity (refresh) token; a registry (bearer) token. `source` is for messages."""

    username: str = ""
    secret: str = ""
    identity_token: str = ""
    registry_token: str = ""
    source: str = ""

    def __repr__(self) -> str:
        return f"Credentials(source={self.source!r}, ...)"

    def __bool__(self) -> bool:
        return bool(self.username or self.secret or self.identity_token or self.registry_token)


class Keyring:
    """Finds credentials. For the registry itself those of the request come first, for mirrors those of the files.

    `files` are read when first needed; `helpers` are registries.conf's credential-helpers, asked when no file knows.
    """

    def __init__(self, auth: RegistryAuth | None, files: tuple[str, ...], helpers: tuple[str, ...] = ()) -> None:
        self._auth, self._files, self._helpers = auth, files, helpers

    def find(self, endpoint: Endpoint, reference: Reference) -> Credentials:
        """The credentials for an endpoint, empty ones when there are none.

        Raises InvalidArgument (request) and FailedPrecondition (files, helpers) for what cannot be read.
        """
        given = self._given(endpoint, reference)
        if given and endpoint.upstream:
            return given
        return self._stored(endpoint, reference) or given

    def _given(self, endpoint: Endpoint, reference: Reference) -> Credentials:
        auth = self._auth
        if auth is None:
            return Credentials()
        if auth.server_address:
            wanted = host_of(auth.server_address)
            names = same_registry(endpoint.host)
            if endpoint.upstream:
                names += same_registry(reference.domain)
            if wanted not in names:
                return Credentials()
        return from_request(auth)

    def _stored(self, endpoint: Endpoint, reference: Reference) -> Credentials:
        keys = _keys(endpoint, reference)
        for path in self._files:
            found = _from_file(path, keys)
            if found:
                return found
        for name in self._helpers:
            if name != "containers-auth.json":
                found = _ask_helper(name, endpoint.host, "registries.conf, credential-helpers")
                if found:
                    return found
        return Credentials()


def from_request(auth: RegistryAuth) -> Credentials:
    """The credentials of a CRI AuthConfig; InvalidArgument when `auth` is no base64 of name:password."""
    source = "the pull request"
    if auth.registry_token:
        return Credentials(registry_token=auth.registry_token, source=source)
    if auth.username:
        return Credentials(auth.username, auth.password, source=source)
    if auth.identity_token:
        return Credentials(identity_token=auth.identity_token, source=source)
    if auth.auth:
        return _from_base64(auth.auth, source)
    return Credentials()


def host_of(server: str) -> str:
    """Host and port of a server address or a key of a config file: "https://example.com/v1/" is "example.com"."""
    return server.partition("://")[2].partition("/")[0] if "://" in server else server.partition("/")[0]


def same_registry(host: str) -> tuple[str, ...]:
    """All names of a registry: Docker Hub has several."""
    return _HUB_NAMES if host in _HUB_NAMES else (host,)


def _keys(endpoint: Endpoint, reference: Reference) -> list[str]:
    """Keys to look for, the most exact first: repository and its parents, then the host."""
    hosts = list(same_registry(endpoint.host))
    if endpoint.upstream:
        hosts += [name for name in same_registry(reference.domain) if name not in hosts]
    keys = []
    path = endpoint.repository
    while path:
        keys += [f"{host}/{path}" for host in hosts]
        path = path.rpartition("/")[0]
    return keys + hosts


def _from_base64(text: str, source: str) -> Credentials:
    try:
        decoded = base64.b64decode(text.encode(), validate=True).decode().rstrip("\0")
        name, colon, secret = decoded.partition(":")
    except (binascii.Error, UnicodeError) as e:
        raise InvalidArgument("the credentials are not base64", where=source) from e
    if not colon:
        raise InvalidArgument("the credentials are not name:password", where=source)
    return Credentials(name, secret, source=source)


def _from_file(path: str, keys: list[str]) -> Credentials:
    config = _read(path)
    auths, helpers = config.get("auths") or {}, config.get("credHelpers") or {}
    if not isinstance(auths, dict) or not isinstance(helpers, dict):
        raise FailedPrecondition("auths and credHelpers must be objects", where=path)
    for key in keys:
        if isinstance(helpers.get(key), str):
            return _ask_helper(helpers[key], key, path)
    # A key may be a URL; an exact key wins over one that only has the same host.
    entries = {host_of(key) if "://" in key else key.rstrip("/"): value for key, value in auths.items()} | auths
    for key in keys:
        found = _from_entry(entries[key], f"{path}, auths, {key}") if key in entries else None
        if found:
            return found
    store = config.get("credsStore")
    if isinstance(store, str) and store:
        for key in keys:
            if "/" not in key:
                found = _ask_helper(store, "https://index.docker.io/v1/" if key == "index.docker.io" else key, path)
                if found:
                    return found
    return Credentials()


def _from_entry(entry: Any, source: str) -> Credentials:
    if not isinstance(entry, dict) or not all(isinstance(v, str) for v in entry.values() if v is not None):
        raise FailedPrecondition("an entry must be an object of strings", where=source)
    fields = {k: entry.get(k) or "" for k in ("username", "password", "auth", "identitytoken", "registrytoken")}
    try:
        return msgspec.structs.replace(
            from_request(
                RegistryAuth(
                    # Docker leaves the name in `auth` beside an identity token.
                    username="" if fields["identitytoken"] else fields["username"],
                    password=fields["password"],
                    auth="" if fields["identitytoken"] else fields["auth"],
                    identity_token=fields["identitytoken"],
                    registry_token=fields["registrytoken"],
                )
            ),
            source=source,
        )
    except InvalidArgument as e:
        raise FailedPrecondition(e.what, where=source) from None


def _read(path: str) -> dict[str, Any]:
    try:
        with open(path, "rb") as f:
            data = f.read(_FILE_MAX + 1)
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as e:
        raise FailedPrecondition("cannot read a file with credentials", where=path) from e
    if len(data) > _FILE_MAX:
        raise FailedPrecondition("a file with credentials is larger than 4 MiB", where=path)
    if not data.strip():
        return {}
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        # Not chained: the parser's words may quote a secret.
        raise FailedPrecondition("a file with credentials is not valid JSON", where=path) from None
    if not isinstance(document, dict):
        raise FailedPrecondition("a file with credentials must hold a JSON object", where=path)
    return document


def _ask_helper(name: str, server: str, source: str) -> Credentials:
    from cricket.images.remote.credential_helper import ask  # starts processes: only where helpers are configured

    found = ask(name, server, source)
    if found is None:
        return Credentials()
    username, secret = found
    if username == "<token>":
        return Credentials(identity_token=secret, source=f"docker-credential-{name}")
    return Credentials(username, secret, source=f"docker-credential-{name}")
