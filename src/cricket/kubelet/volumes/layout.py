"""Where the agent keeps what belongs to a pod: everything below a directory that is named by the pod's uid.

ROOT/pods/UID/volumes/PLUGIN/NAME       volumes (the kubelet's names)
ROOT/pods/UID/volume-subpaths/NAME/CONTAINER/N   bind mounts of sub-paths
ROOT/pods/UID/containers/CONTAINER/     termination messages
ROOT/pods/UID/etc-hosts, userns         the hosts file, the ids of its user namespace
ROOT/claims/NAMESPACE/NAME              claims: they outlive pods
"""

from __future__ import annotations


def pod_dir(root: str, uid: str) -> str:
    """All of a pod."""
    return f"{root}/pods/{uid}"


def volume_dir(root: str, uid: str, plugin: str, name: str) -> str:
    """One volume; `plugin` is its kind as the kubelet names it, like empty-dir."""
    return f"{pod_dir(root, uid)}/volumes/kubernetes.io~{plugin}/{name}"


def sub_path_target(root: str, uid: str, volume: str, container: str, index: int) -> str:
    """Where the sub-path of a container's mount number `index` is bound."""
    return f"{pod_dir(root, uid)}/volume-subpaths/{volume}/{container}/{index}"


def container_dir(root: str, uid: str, container: str) -> str:
    """Files of a container."""
    return f"{pod_dir(root, uid)}/containers/{container}"


def claim_dir(root: str, namespace: str, name: str) -> str:
    """A claim's directory."""
    return f"{root}/claims/{namespace}/{name}"
