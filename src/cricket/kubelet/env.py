"""The environment of a container, and $(NAME) in its command (kubelet pkg/kubelet/kubelet_pods.go, expansion)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from cricket.kubelet import fields
from cricket.kubelet.failure import CreateContainerConfigError
from cricket.kubelet.model.container import Container
from cricket.kubelet.model.env import EnvFromSource, EnvVarSource, KeySelector
from cricket.kubelet.model.objects import Objects
from cricket.kubelet.model.pod import Pod
from cricket.kubelet.node import Node
from cricket.kubelet.validate.names import is_env_name

_REFERENCE = re.compile(r"\$(\$|\(([^)]*)\))?", re.DOTALL)


def expand(text: str, variables: Mapping[str, str]) -> str:
    """$(NAME) becomes the variable's value, and stays when there is none; $$ becomes $; all else stays."""

    def one(match: re.Match[str]) -> str:
        if match[1] == "$":
            return "$"
        name: str | None = match[2]
        return match[0] if name is None else variables.get(name, match[0])

    return _REFERENCE.sub(one, text)


def expand_all(texts: Iterable[str], variables: Mapping[str, str]) -> list[str]:
    """`expand` for a command or its arguments."""
    return [expand(text, variables) for text in texts]


def environment(
    pod: Pod, container: Container, objects: Objects, node: Node, pod_ips: tuple[str, ...]
) -> dict[str, str]:
    """The variables, in order: envFrom, then env, the later one winning. Raises CreateContainerConfigError for what is
    missing and not optional."""
    result: dict[str, str] = {}
    for source in container.env_from:
        result.update(_all_keys(source, pod.metadata.namespace, objects))
    for variable in container.env:
        if variable.value_from is None:
            value: str | None = expand(variable.value, result)
        else:
            value = _valued(variable.value_from, pod, container, objects, node, pod_ips)
        if value is not None:
            result[variable.name] = value
    return result


def _all_keys(source: EnvFromSource, namespace: str, objects: Objects) -> dict[str, str]:
    for reference, kind in ((source.config_map_ref, "configmap"), (source.secret_ref, "secret")):
        if reference is None:
            continue
        contents = _contents(kind, reference.name, namespace, objects)
        if contents is None:
            if reference.optional:
                continue
            raise CreateContainerConfigError(f'{kind} "{reference.name}" not found')
        # Keys that can be no variables are left out, as the kubelet does.
        return {
            source.prefix + key: value.decode(errors="surrogateescape")
            for key, value in sorted(contents.items())
            if is_env_name(source.prefix + key)
        }
    return {}


def _valued(
    source: EnvVarSource, pod: Pod, container: Container, objects: Objects, node: Node, pod_ips: tuple[str, ...]
) -> str | None:
    if source.field_ref is not None:
        return fields.pod_field(pod, source.field_ref.field_path, node, pod_ips)
    if source.resource_field_ref is not None:
        return fields.resource_field(pod, source.resource_field_ref, node, container)
    if source.config_map_key_ref is not None:
        return _key("configmap", source.config_map_key_ref, pod.metadata.namespace, objects)
    if source.secret_key_ref is not None:
        return _key("secret", source.secret_key_ref, pod.metadata.namespace, objects)
    return None


def _key(kind: str, selector: KeySelector, namespace: str, objects: Objects) -> str | None:
    contents = _contents(kind, selector.name, namespace, objects)
    if contents is not None and selector.key in contents:
        return contents[selector.key].decode(errors="surrogateescape")
    if selector.optional:
        return None
    if contents is None:
        raise CreateContainerConfigError(f'{kind} "{selector.name}" not found')
    spelling = {"configmap": "ConfigMap", "secret": "Secret"}[kind]
    raise CreateContainerConfigError(f"couldn't find key {selector.key} in {spelling} {namespace}/{selector.name}")


def _contents(kind: str, name: str, namespace: str, objects: Objects) -> dict[str, bytes] | None:
    if kind == "configmap":
        config_map = objects.config_maps.get(f"{namespace}/{name}")
        # Bytes of binaryData are for files.
        return None if config_map is None else {k: v.encode() for k, v in config_map.data.items()}
    secret = objects.secrets.get(f"{namespace}/{name}")
    return None if secret is None else secret.contents()
