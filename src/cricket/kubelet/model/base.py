"""What all objects share: the naming of fields, quantities, metadata."""

from __future__ import annotations

from typing import NewType

import msgspec

Quantity = NewType("Quantity", str)
"""An amount as Kubernetes spells it ("500m", "1Gi"); a number in the manifest is taken as its text. See quantity.py."""

Resources = dict[str, Quantity]
"""Amounts by resource: "cpu", "memory", "hugepages-2Mi", ..."""


class KubeStruct(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True, omit_defaults=True):
    """Base of all of them: immutable, camel case outside, unknown fields refused, defaults left out when encoded."""


class ObjectMeta(KubeStruct, frozen=True):
    """metadata: `namespace` is "default" when the manifest has none, `uid` is filled in by the loader."""

    name: str = ""
    generate_name: str = ""
    namespace: str = ""
    uid: str = ""
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}

    @property
    def key(self) -> str:
        """namespace/name."""
        return f"{self.namespace}/{self.name}"


class LocalObjectReference(KubeStruct, frozen=True):
    """An object of the pod's namespace."""

    name: str = ""
