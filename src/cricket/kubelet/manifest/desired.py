"""What a source of manifests wants."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from cricket.kubelet.model.objects import ConfigMap, Objects, PersistentVolumeClaim, Secret
from cricket.kubelet.model.pod import Pod


class Problem(msgspec.Struct, frozen=True, order=True):
    """One thing that is wrong: where it is written (line 0: nowhere), the path of the field, and what to say of it."""

    origin: str
    line: int
    path: str
    text: str

    def __str__(self) -> str:
        place = f"{self.origin}:{self.line}" if self.line else self.origin
        return ": ".join(part for part in (place, self.path, self.text) if part)


class Desired(msgspec.Struct, frozen=True):
    """The valid objects of one source. An object with an error is left out and the others stay; a warning leaves its
    object in: it names a field or a kind that means nothing to a single node."""

    origin: str
    pods: tuple[Pod, ...] = ()
    config_maps: tuple[ConfigMap, ...] = ()
    secrets: tuple[Secret, ...] = ()
    claims: tuple[PersistentVolumeClaim, ...] = ()
    errors: tuple[Problem, ...] = ()
    warnings: tuple[Problem, ...] = ()


def objects_of(sources: Iterable[Desired]) -> Objects:
    """The objects of several sources by namespace/name; the first source that has one wins."""
    config_maps: dict[str, ConfigMap] = {}
    secrets: dict[str, Secret] = {}
    claims: dict[str, PersistentVolumeClaim] = {}
    for source in sources:
        for config_map in source.config_maps:
            config_maps.setdefault(config_map.metadata.key, config_map)
        for secret in source.secrets:
            secrets.setdefault(secret.metadata.key, secret)
        for claim in source.claims:
            claims.setdefault(claim.metadata.key, claim)
    return Objects(config_maps, secrets, claims)
