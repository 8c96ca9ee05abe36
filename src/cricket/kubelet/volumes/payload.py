"""The files of configMap, secret, downwardAPI and projected volumes, as values."""

from __future__ import annotations

from cricket.kubelet import fields
from cricket.kubelet.failure import FailedMount
from cricket.kubelet.model.objects import Objects
from cricket.kubelet.model.pod import Pod
from cricket.kubelet.model.volume import DownwardFile, KeyToPath, Projection, Volume
from cricket.kubelet.node import Node

Payload = dict[str, tuple[bytes, int]]
"""Contents and mode by path in the volume."""


def payload(volume: Volume, pod: Pod, objects: Objects, node: Node) -> Payload | None:
    """The files, or None when the volume is of another kind. Raises FailedMount with the kubelet's words."""
    namespace = pod.metadata.namespace
    if (config := volume.config_map) is not None:
        contents = _contents("configmap", config.name, namespace, objects, config.optional)
        return _chosen("configmap", contents, config.items, config.default_mode, config.optional)
    if (secret := volume.secret) is not None:
        contents = _contents("secret", secret.secret_name, namespace, objects, secret.optional)
        return _chosen("secret", contents, secret.items, secret.default_mode, secret.optional)
    if (downward := volume.downward_api) is not None:
        return _downward(downward.items, downward.default_mode, pod, node)
    if (projected := volume.projected) is not None:
        result: Payload = {}
        for source in projected.sources:
            result.update(_projection(source, projected.default_mode, pod, objects, node))
        return result
    return None


def _projection(source: Projection, mode: int, pod: Pod, objects: Objects, node: Node) -> Payload:
    if source.downward_api is not None:
        return _downward(source.downward_api.items, mode, pod, node)
    for kind, reference in (("configmap", source.config_map), ("secret", source.secret)):
        if reference is not None:
            contents = _contents(kind, reference.name, pod.metadata.namespace, objects, reference.optional)
            return _chosen(kind, contents, reference.items, mode, reference.optional)
    return {}


def _contents(kind: str, name: str, namespace: str, objects: Objects, optional: bool) -> dict[str, bytes]:
    found = (objects.config_maps if kind == "configmap" else objects.secrets).get(f"{namespace}/{name}")
    if found is not None:
        return found.contents()
    if optional:
        return {}
    raise FailedMount(f'{kind} "{name}" not found')


def _chosen(kind: str, contents: dict[str, bytes], items: tuple[KeyToPath, ...], mode: int, optional: bool) -> Payload:
    if not items:
        return {key: (value, mode) for key, value in contents.items()}
    result: Payload = {}
    for item in items:
        if item.key in contents:
            result[item.path] = (contents[item.key], mode if item.mode is None else item.mode)
        elif not optional:
            said = "configmap references non-existent config key" if kind == "configmap" else ""
            raise FailedMount(f"{said or 'references non-existent secret key'}: {item.key}")
    return result


def _downward(items: tuple[DownwardFile, ...], mode: int, pod: Pod, node: Node) -> Payload:
    result: Payload = {}
    for item in items:
        if item.field_ref is not None:
            text = fields.pod_field(pod, item.field_ref.field_path, node)
        elif item.resource_field_ref is not None:
            text = fields.resource_field(pod, item.resource_field_ref, node)
        else:
            continue
        result[item.path] = (text.encode(errors="surrogateescape"), mode if item.mode is None else item.mode)
    return result
