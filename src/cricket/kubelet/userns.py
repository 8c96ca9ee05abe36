"""Ids for pods with `hostUsers: false` (kubelet pkg/kubelet/userns): 65536 for each, and nobody else's.

They are kept in the pod's directory, so that they are free again when that goes.
"""

from __future__ import annotations

import contextlib
import os
from typing import Any

import msgspec

from cricket._proto.cri import api_pb2 as pb
from cricket.kubelet.failure import FailedCreatePodSandBox
from cricket.kubelet.model.pod import Pod
from cricket.kubelet.node import Node
from cricket.kubelet.volumes import directories, layout

LENGTH = 65536
_MOST = (1 << 32) // LENGTH - 1


def pod_userns(pod: Pod, node: Node) -> Any:
    """UserNamespace of the pod: POD with its ids, which are allocated the first time, NODE for `hostUsers: true`, None
    when the pod does not say. Reads a file for each pod that has ids; must not run twice at a time. Raises
    FailedCreatePodSandBox."""
    if pod.spec.host_users is None:
        return None
    if pod.spec.host_users:
        return pb.UserNamespace(mode=pb.NODE)
    handler = node.handler(pod.spec.runtime_class_name)
    if handler not in node.userns_handlers:
        raise FailedCreatePodSandBox(f'runtime handler "{handler}" does not support user namespaces')
    first = _allocated(node.root, pod.metadata.uid)
    if first is None:
        first = _allocate(node.root, pod.metadata.uid)
    mapping = pb.IDMapping(host_id=first, container_id=0, length=LENGTH)
    return pb.UserNamespace(mode=pb.POD, uids=[mapping], gids=[mapping])


def _path(root: str, uid: str) -> str:
    return f"{layout.pod_dir(root, uid)}/userns"


def _allocated(root: str, uid: str) -> int | None:
    try:
        with open(_path(root, uid), "rb") as file:
            return msgspec.json.decode(file.read(), type=int)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.DecodeError) as error:
        raise FailedCreatePodSandBox("the pod's ids cannot be read", where=_path(root, uid)) from error


def _allocate(root: str, uid: str) -> int:
    taken: set[int | None] = set()
    with contextlib.suppress(FileNotFoundError):
        taken = {_allocated(root, name) for name in os.listdir(f"{root}/pods")}
    number = next((n for n in range(1, _MOST) if n * LENGTH not in taken), None)
    if number is None:
        raise FailedCreatePodSandBox("no ids are free for the pod's user namespace")
    path = _path(root, uid)
    try:
        directories.make_private(os.path.dirname(path))
        with open(f"{path}.new", "wb") as file:
            file.write(msgspec.json.encode(number * LENGTH))
            file.flush()
            os.fsync(file.fileno())
        os.rename(f"{path}.new", path)
    except OSError as error:
        raise FailedCreatePodSandBox("the pod's ids cannot be written down", where=path) from error
    return number * LENGTH
