"""Configurations of pods and containers in files, in the form that crictl reads: the JSON of CRI's messages."""

from __future__ import annotations

import base64
import json
import sys
from typing import Any

from cricket._proto.cri import api_pb2
from cricket.errors import InvalidArgument, NotFound, map_errors


def read_pod(path: str) -> Any:
    """A PodSandboxConfig. A missing uid is made up, a missing namespace is `default`, as kubectl has it."""
    config = _read(path, "PodSandboxConfig")
    if not config.metadata.name:
        raise InvalidArgument("the pod has no metadata.name", where=path)
    if not config.metadata.uid:
        import uuid

        config.metadata.uid = str(uuid.uuid4())
    config.metadata.namespace = config.metadata.namespace or "default"
    return config


def read_container(path: str) -> Any:
    """A ContainerConfig."""
    config = _read(path, "ContainerConfig")
    if not config.metadata.name:
        raise InvalidArgument("the container has no metadata.name", where=path)
    if not config.image.image:
        raise InvalidArgument("the container has no image.image", where=path)
    return config


def _read(path: str, kind: str) -> Any:
    with map_errors(FileNotFoundError, NotFound, "cannot read the file", where=path):
        try:
            data = sys.stdin.buffer.read() if path == "-" else _bytes(path)
        except IsADirectoryError as error:
            raise InvalidArgument("cannot read the file", where=path) from error
    with map_errors((ValueError, RecursionError), InvalidArgument, "the file is not valid JSON", where=path):
        content = json.loads(data)
    if not isinstance(content, dict):
        raise InvalidArgument(f"the file should hold an object: a {kind}", where=path)
    _encode_values(content)
    from google.protobuf import json_format

    with map_errors(json_format.ParseError, InvalidArgument, f"the file is no {kind}", where=path):
        return json_format.ParseDict(content, getattr(api_pb2, kind)())


def _bytes(path: str) -> bytes:
    with map_errors(PermissionError, InvalidArgument, "cannot read the file", where=path), open(path, "rb") as file:
        return file.read()


def _encode_values(content: dict[str, Any]) -> None:
    """The values of environment variables are bytes in the proto, and so base64 in its JSON, but text in crictl's."""
    envs = content.get("envs")
    for entry in envs if isinstance(envs, list) else ():
        if isinstance(entry, dict) and isinstance(entry.get("value"), str):
            entry["value"] = base64.b64encode(entry["value"].encode()).decode()
