"""Make a pod's volumes, and take them away."""

from __future__ import annotations

import msgspec

from cricket.kubelet.model.objects import Objects
from cricket.kubelet.model.pod import Pod
from cricket.kubelet.node import Node


class HostVolume(msgspec.Struct, frozen=True):
    """A volume as containers are to get it: a path of the node, or an image (`path` is then empty) to be pulled by
    `pull_policy`. `read_only` is forced on all mounts."""

    path: str = ""
    image: str = ""
    pull_policy: str = ""
    read_only: bool = False


async def materialize(pod: Pod, objects: Objects, node: Node) -> dict[str, HostVolume]:
    """Make all volumes, or bring those of ConfigMaps, Secrets and the downward API up to date; idempotent, to be called
    again when objects change. Raises FailedMount."""
    raise NotImplementedError(pod, objects, node)


async def cleanup(uid: str, root: str) -> None:
    """Unmount and remove everything that was made for the pod below `root`, by its uid alone; idempotent. Claims and
    hostPaths stay."""
    raise NotImplementedError(uid, root)
