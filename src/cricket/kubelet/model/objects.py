"""What stands beside a pod in a manifest: data and claims."""

from __future__ import annotations

import msgspec

from cricket.kubelet.model.base import KubeStruct, ObjectMeta, Quantity, Resources


class ConfigMap(KubeStruct, frozen=True):
    """Text by key; bytes in `binary_data`."""

    metadata: ObjectMeta
    data: dict[str, str] = {}
    binary_data: dict[str, bytes] = {}
    immutable: bool = False

    def contents(self) -> dict[str, bytes]:
        """All keys, as bytes."""
        return {**{k: v.encode() for k, v in self.data.items()}, **self.binary_data}


class Secret(KubeStruct, frozen=True):
    """Bytes by key; `string_data` wins over `data`."""

    metadata: ObjectMeta
    data: dict[str, bytes] = {}
    string_data: dict[str, str] = {}
    type: str = "Opaque"
    immutable: bool = False

    def contents(self) -> dict[str, bytes]:
        """All keys, as bytes."""
        return {**self.data, **{k: v.encode() for k, v in self.string_data.items()}}


class ClaimResources(KubeStruct, frozen=True):
    """How much; a directory does not enforce it."""

    requests: Resources = {}
    limits: Resources = {}


class ClaimSpec(KubeStruct, frozen=True):
    """A claim to storage."""

    access_modes: tuple[str, ...] = ()
    resources: ClaimResources = ClaimResources()
    storage_class_name: str | None = None
    volume_mode: str = "Filesystem"
    volume_name: str = ""


class PersistentVolumeClaim(KubeStruct, frozen=True):
    """A directory of this node, made when a pod first uses it, and kept."""

    metadata: ObjectMeta
    spec: ClaimSpec = ClaimSpec()

    @property
    def storage(self) -> Quantity:
        """What was asked for."""
        return self.spec.resources.requests.get("storage", Quantity("0"))


class Objects(msgspec.Struct, frozen=True):
    """What pods refer to, by namespace/name."""

    config_maps: dict[str, ConfigMap] = {}
    secrets: dict[str, Secret] = {}
    claims: dict[str, PersistentVolumeClaim] = {}
