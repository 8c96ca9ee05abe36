"""Credentials of imagePullSecrets (kubelet pkg/credentialprovider)."""

from __future__ import annotations

import base64
import binascii
import fnmatch
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from cricket._proto.cri import api_pb2 as pb
from cricket.kubelet.model.objects import Objects
from cricket.kubelet.model.pod import Pod

_DOCKER_HUB = "index.docker.io"
_HUB_NAMES = ("docker.io", "registry-1.docker.io", _DOCKER_HUB)


def credentials(pod: Pod, image: str, objects: Objects) -> list[Any]:
    """AuthConfigs to try in this order, the most exact match first; empty: pull without. Secrets that are missing or
    unreadable are passed over, as the kubelet does."""
    repository = _repository(image)
    found = [
        (len(place), entry)
        for secret in pod.spec.image_pull_secrets
        for place, entry in _entries(objects, f"{pod.metadata.namespace}/{secret.name}")
        if _matches(place, repository)
    ]
    found.sort(key=lambda pair: -pair[0])
    result: list[Any] = []
    for _, entry in found:
        auth = _auth(entry)
        if auth is not None and auth not in result:
            result.append(auth)
    return result


def _entries(objects: Objects, key: str) -> Iterator[tuple[str, dict[str, Any]]]:
    secret = objects.secrets.get(key)
    contents = {} if secret is None else secret.contents()
    try:
        if ".dockerconfigjson" in contents:
            auths = json.loads(contents[".dockerconfigjson"]).get("auths", {})
        else:
            auths = json.loads(contents.get(".dockercfg", b"{}"))
        yield from ((_place(server), entry) for server, entry in auths.items() if isinstance(entry, dict))
    except (ValueError, AttributeError):
        return


def _place(server: str) -> str:
    """host[:port][/path] of a key, which may be a URL; the registry's API version is no path."""
    parts = urlsplit(server if "://" in server else f"https://{server}")
    path = parts.path.rstrip("/")
    path = "" if path in ("/v1", "/v2") else path
    host = _DOCKER_HUB if parts.netloc in _HUB_NAMES else parts.netloc
    return host + path


def _repository(image: str) -> str:
    """host[:port]/path of an image, as `_place` has it."""
    name = image.partition("@")[0]
    head, colon, tag = name.rpartition(":")
    name = head if colon and "/" not in tag else name
    host, slash, path = name.partition("/")
    if not slash or not ("." in host or ":" in host or host == "localhost"):
        return f"{_DOCKER_HUB}/{name if slash else 'library/' + name}"
    return f"{_DOCKER_HUB if host in _HUB_NAMES else host}/{path}"


def _matches(place: str, repository: str) -> bool:
    """Hosts part by part, where * stands for a part or a piece of it; the path is a prefix in whole parts."""
    host, _, path = place.partition("/")
    own_host, _, own_path = repository.partition("/")
    host, _, port = host.partition(":")
    own_host, _, own_port = own_host.partition(":")
    parts, own_parts = host.split("."), own_host.split(".")
    if port != own_port or len(parts) != len(own_parts):
        return False
    if not all(fnmatch.fnmatchcase(own, pattern) for own, pattern in zip(own_parts, parts, strict=True)):
        return False
    return not path or own_path == path or own_path.startswith(path + "/")


def _auth(entry: dict[str, Any]) -> Any:
    username, password = str(entry.get("username") or ""), str(entry.get("password") or "")
    if entry.get("auth"):
        try:
            username, _, password = base64.b64decode(str(entry["auth"]).rstrip("=") + "==").decode().partition(":")
        except (binascii.Error, ValueError):
            return None
    token = str(entry.get("identitytoken") or "")
    registry_token = str(entry.get("registrytoken") or "")
    if not (username or token or registry_token):
        return None
    return pb.AuthConfig(
        username=username, password=password.rstrip("\0"), identity_token=token, registry_token=registry_token
    )
