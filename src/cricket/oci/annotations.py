"""Annotations of a spec: who the container is, in the words that containerd uses, and what the handler lets through."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase

from cricket.types.sandbox import Sandbox

_PREFIX = "io.kubernetes.cri."


def sandbox_annotations(sandbox: Sandbox) -> dict[str, str]:
    """Those that containers and the sandbox's init share."""
    metadata = sandbox.config.metadata
    return {
        _PREFIX + "sandbox-id": sandbox.id,
        _PREFIX + "sandbox-name": metadata.name,
        _PREFIX + "sandbox-namespace": metadata.namespace,
        _PREFIX + "sandbox-uid": metadata.uid,
    }


def container_annotations(sandbox: Sandbox, container_name: str, image_name: str) -> dict[str, str]:
    """Those of a container."""
    return {
        **sandbox_annotations(sandbox),
        _PREFIX + "container-type": "container",
        _PREFIX + "container-name": container_name,
        _PREFIX + "image-name": image_name,
    }


def allowed(annotations: Mapping[str, str], patterns: Iterable[str]) -> dict[str, str]:
    """Those whose key matches one of the globs. Runtimes obey some annotations, so nothing passes unless allowed."""
    globs = tuple(patterns)
    return {k: v for k, v in annotations.items() if any(fnmatchcase(k, g) for g in globs)}
