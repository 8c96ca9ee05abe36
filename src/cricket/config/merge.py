"""Tables as TOML gives them: merging one over another, and dotted keys to and from nested tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def merge(base: dict[str, Any], over: Mapping[str, Any]) -> None:
    """Merge `over` into `base` in place: tables key by key, anything else replaced; `over` is not changed or shared."""
    for key, value in over.items():
        if isinstance(value, Mapping):
            below = base.get(key)
            if not isinstance(below, dict):
                below = base[key] = {}
            merge(below, value)
        else:
            base[key] = list(value) if isinstance(value, list) else value


def flatten(table: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """The leaves of nested tables by dotted key; empty tables have none."""
    leaves: dict[str, Any] = {}
    for key, value in table.items():
        if isinstance(value, Mapping):
            leaves.update(flatten(value, f"{prefix}{key}."))
        else:
            leaves[prefix + key] = value
    return leaves


def nest(leaves: Mapping[str, Any]) -> dict[str, Any]:
    """The inverse of `flatten` for keys without a dot of their own."""
    table: dict[str, Any] = {}
    for key, value in leaves.items():
        *parents, last = key.split(".")
        at = table
        for name in parents:
            below = at.get(name)
            if not isinstance(below, dict):
                below = at[name] = {}
            at = below
        at[last] = value
    return table
