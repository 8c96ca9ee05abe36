"""Chain ids: the name of a stack of layers (OCI image-spec config.md, "Layer ChainID")."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence


def chain_ids(diff_ids: Sequence[str]) -> list[str]:
    """The chain id of each layer on top of those below it, bottom first."""
    chains: list[str] = []
    for diff_id in diff_ids:
        if chains:
            diff_id = "sha256:" + hashlib.sha256(f"{chains[-1]} {diff_id}".encode()).hexdigest()
        chains.append(diff_id)
    return chains


def chain_id(diff_ids: Sequence[str]) -> str:
    """The chain id of the whole stack; "" for an image without layers."""
    return chain_ids(diff_ids)[-1] if diff_ids else ""
