"""The RPCs as a table: read from the descriptors, plus what Cricket decides about each."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from enum import Enum
from typing import Any, NamedTuple

_WORD = 256
"""Characters; the longest names that there are have 253."""
Message = Any
"""A protobuf message of some class."""


class Kind(Enum):
    """How a call runs, and what the end of its caller means for it."""

    READ = "read"
    """A plain function that answers from memory."""
    WAIT = "wait"
    """A coroutine that ends with its call: it changes nothing, or undoes by itself (PullImage)."""
    VERB = "verb"
    """A coroutine in a task of the daemon: a cancelled call or its deadline leaves it running, a retry joins it."""
    STREAM = "stream"
    """An async generator."""


_VERBS = frozenset(
    [
        "RunPodSandbox",
        "StopPodSandbox",
        "RemovePodSandbox",
        "CreateContainer",
        "StartContainer",
        "StopContainer",
        "RemoveContainer",
        "UpdateContainerResources",
        "UpdatePodSandboxResources",
        "ReopenContainerLog",
        "CheckpointContainer",
        "UpdateRuntimeConfig",
        "RemoveImage",
        "LoadImage",
        "SaveImage",
        "ImportImage",
        "CheckImages",
        "Reload",
    ]
)
_WAITS = frozenset(
    [
        "Status",
        "ExecSync",
        "PullImage",
        "ImageFsInfo",
        "ContainerStats",
        "ListContainerStats",
        "PodSandboxStats",
        "ListPodSandboxStats",
        "ListPodSandboxMetrics",
    ]
)


class Method(NamedTuple):
    """One RPC."""

    name: str
    kind: Kind
    parse: Callable[[bytes], Message]
    level: int
    """The level at which a success is logged."""


def methods(module: Any, service: str) -> Iterator[Method]:
    """The methods of a service of a generated module."""
    for entry in module.DESCRIPTOR.services_by_name[service].methods:
        request = getattr(module, entry.input_type.name)
        kind = _kind(entry)
        talks = kind is Kind.VERB or entry.name == "PullImage"
        yield Method(entry.name, kind, request.FromString, logging.INFO if talks else logging.DEBUG)


def _kind(entry: Any) -> Kind:
    if entry.server_streaming:
        return Kind.STREAM
    if entry.name in _VERBS:
        return Kind.VERB
    return Kind.WAIT if entry.name in _WAITS else Kind.READ


def subjects(request: Message) -> tuple[str, ...]:
    """What a request is about, for the log and for `why`: ids, names, references. Never credentials or contents."""
    found = [getattr(request, name, "") for name in ("pod_sandbox_id", "container_id", "reference", "path")]
    image = getattr(request, "image", None)
    found.append(getattr(image, "image", ""))
    config = getattr(request, "config", None)
    if config is not None and config.HasField("metadata"):
        metadata = config.metadata
        namespace = getattr(metadata, "namespace", "")
        found.append(f"{namespace}/{metadata.name}" if namespace else metadata.name)
    return tuple(_shown(word) for word in found if isinstance(word, str) and word)


def _shown(word: str) -> str:
    """A client's word as a line of the log can have it."""
    word = word[:_WORD]
    return word if word.isprintable() else repr(word)
