"""What a runtime tells of a pod: statuses, and the configurations of its verbose information."""

from __future__ import annotations

import base64
import contextlib
import json
from typing import Any, NamedTuple

from cricket._proto.cri import api_pb2 as pb
from cricket.client.connection import Client
from cricket.client.errors import RemoteError


class ContainerFacts(NamedTuple):
    """A container: the newest of its name. `config` is None where the runtime does not tell; `image` is the Image of
    ImageStatus, None when it is gone; `spec` the OCI configuration, maybe empty; `entry` what the image would run."""

    status: Any
    config: Any | None
    spec: dict[str, Any]
    image: Any | None
    entry: dict[str, Any]


class PodFacts(NamedTuple):
    """A pod: its sandbox and its containers in the order in which they were made."""

    status: Any
    config: Any | None
    containers: tuple[ContainerFacts, ...]


def facts(client: Client, sandbox_id: str) -> PodFacts:
    """Ask for everything about a pod. Raises RemoteError."""
    answer = client.call("PodSandboxStatus", pod_sandbox_id=sandbox_id, verbose=True)
    newest: dict[str, Any] = {}
    for item in client.call("ListContainers", filter={"pod_sandbox_id": sandbox_id}).containers:
        known = newest.get(item.metadata.name)
        if known is None or known.created_at < item.created_at:
            newest[item.metadata.name] = item
    first = sorted(newest.values(), key=lambda item: item.created_at)
    containers = tuple(_container(client, item.id) for item in first)
    return PodFacts(answer.status, _config(_info(answer.info), pb.PodSandboxConfig()), containers)


def _container(client: Client, container_id: str) -> ContainerFacts:
    answer = client.call("ContainerStatus", container_id=container_id, verbose=True)
    info = _info(answer.info)
    spec = info.get("runtimeSpec") or {}
    image, entry = None, {}
    with contextlib.suppress(RemoteError):
        found = client.call(
            "ImageStatus", image={"image": answer.status.image_id or answer.status.image_ref}, verbose=True
        )
        if found.HasField("image"):
            image, entry = found.image, _image_config(_info(found.info))
    return ContainerFacts(answer.status, _config(info, pb.ContainerConfig(), spec), spec, image, entry)


def _info(texts: Any) -> dict[str, Any]:
    """The verbose information as one dictionary: what is under "info", and what stands beside it."""
    result: dict[str, Any] = {}
    for key, text in texts.items():
        try:
            value = json.loads(text)
        except ValueError:
            continue
        result.update(value if key == "info" and isinstance(value, dict) else {key: value})
    return result


def _config(info: dict[str, Any], message: Any, spec: dict[str, Any] | None = None) -> Any | None:
    from google.protobuf import json_format

    config = info.get("config")
    if not isinstance(config, dict):
        return None
    _encode_values(config, set((spec or {}).get("process", {}).get("env", ())))
    try:
        return json_format.ParseDict(config, message, ignore_unknown_fields=True)
    except json_format.ParseError:
        return None


def _encode_values(config: dict[str, Any], real: set[str]) -> None:
    """Values of variables are bytes in the proto: base64 in its JSON, text in that of runtimes from before that."""
    for entry in config.get("envs") or ():
        key, value = entry.get("key", ""), entry.get("value") or ""
        if f"{key}={value}" not in real:
            with contextlib.suppress(ValueError):
                if f"{key}={base64.b64decode(value, validate=True).decode()}" in real:
                    continue
        entry["value"] = base64.b64encode(value.encode(errors="surrogateescape")).decode()


def _image_config(info: dict[str, Any]) -> dict[str, Any]:
    """The `config` part of the image's configuration, wherever the runtime has it."""
    for key in ("imageSpec", "imageConfig", "config"):
        found = info.get(key)
        if isinstance(found, dict):
            inner = found.get("config", found)
            return inner if isinstance(inner, dict) else {}
    return {}
