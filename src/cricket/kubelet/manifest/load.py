"""Manifests in, valid objects out."""

from __future__ import annotations

from cricket.kubelet.manifest.desired import Desired


def load(text: bytes, origin: str, node: str) -> Desired:
    """The objects of a stream of YAML or JSON documents, with defaults, validated, workloads expanded to pods.

    `origin` is the name that messages begin with (a file's path, a URL, "stdin"), `node` the node's name. Raises
    nothing for bad input: all that is wrong is in `errors`.
    """
    raise NotImplementedError(text, origin, node)
