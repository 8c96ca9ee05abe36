"""Credentials of imagePullSecrets."""

from __future__ import annotations

from typing import Any

from cricket.kubelet.model.objects import Objects
from cricket.kubelet.model.pod import Pod


def credentials(pod: Pod, image: str, objects: Objects) -> list[Any]:
    """AuthConfigs to try in this order; empty: pull without. Secrets that are missing are passed over, as the kubelet
    does."""
    raise NotImplementedError(pod, image, objects)
