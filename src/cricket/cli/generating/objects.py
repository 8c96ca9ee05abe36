"""ConfigMaps, Secrets and claims that a pod uses, as far as they can be had back from the pod itself."""

from __future__ import annotations

import base64
import os
from typing import Any

_MOST = 1 << 20
"""Bytes: no ConfigMap or Secret is larger."""


class Objects:
    """What goes beside the pods of a namespace, by kind and name."""

    def __init__(self) -> None:
        self._contents: dict[tuple[str, str, str], dict[str, bytes]] = {}
        self._claims: dict[tuple[str, str], str] = {}

    def add(self, kind: str, namespace: str, name: str, contents: dict[str, bytes]) -> None:
        """Keys of a ConfigMap or Secret; what is known already stays."""
        known = self._contents.setdefault((kind, namespace, name), {})
        for key, value in contents.items():
            known.setdefault(key, value)

    def add_claim(self, namespace: str, name: str, path: str) -> None:
        """A claim whose files are at a path of this node."""
        self._claims.setdefault((namespace, name), path)

    def documents(self) -> list[dict[str, Any]]:
        """The manifests."""
        found = [_document(*key, contents) for key, contents in self._contents.items()]
        for (namespace, name), path in self._claims.items():
            metadata = {**_metadata(namespace, name), "annotations": {"cricket/host-path": path}}
            spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
            found.append({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata, "spec": spec})
        return found


def _document(kind: str, namespace: str, name: str, contents: dict[str, bytes]) -> dict[str, Any]:
    result: dict[str, Any] = {"apiVersion": "v1", "kind": kind, "metadata": _metadata(namespace, name)}
    text: dict[str, str] = {}
    binary: dict[str, str] = {}
    for key, value in sorted(contents.items()):
        try:
            if kind == "Secret":
                raise ValueError
            text[key] = value.decode()
        except ValueError:
            binary[key] = base64.b64encode(value).decode()
    names = ("data", "data") if kind == "Secret" else ("data", "binaryData")
    for field, found in zip(names, (text, binary), strict=True):
        if found:
            result[field] = found
    return result


def _metadata(namespace: str, name: str) -> dict[str, str]:
    return {"name": name, **({"namespace": namespace} if namespace not in ("", "default") else {})}


def files(directory: str) -> dict[str, bytes] | None:
    """The files of a volume by their relative paths; None when they cannot be read from here or are too many.

    The kubelet keeps them in a directory that the link `..data` leads to, so that they change all at once.
    """
    result: dict[str, bytes] = {}
    try:
        top = os.path.join(directory, os.readlink(os.path.join(directory, "..data")))
        for path, directories, names in os.walk(top):
            directories.sort()
            for name in sorted(names):
                full = os.path.join(path, name)
                with open(full, "rb") as file:
                    result[os.path.relpath(full, top)] = file.read(_MOST + 1)
                if sum(map(len, result.values())) > _MOST:
                    return None
    except OSError:
        return None
    return result
