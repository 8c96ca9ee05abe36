"""Variables and the fields that they and the downward API may name."""

from __future__ import annotations

import re

from cricket.kubelet.manifest.finding import Finding, Findings, Path
from cricket.kubelet.model.container import Container
from cricket.kubelet.model.env import EnvVarSource, KeySelector, ObjectFieldSelector, ResourceFieldSelector
from cricket.kubelet.quantity import parse
from cricket.kubelet.validate import names

FILE_FIELDS = ["metadata.name", "metadata.namespace", "metadata.uid", "metadata.labels", "metadata.annotations"]
ENV_FIELDS = [
    *FILE_FIELDS[:3], "spec.nodeName", "spec.serviceAccountName",
    "status.hostIP", "status.hostIPs", "status.podIP", "status.podIPs",
]  # fmt: skip
SUBSCRIPT = re.compile(r"(metadata\.(?:labels|annotations))\['([^']+)'\]")
_RESOURCES = "limits.cpu limits.memory limits.ephemeral-storage requests.cpu requests.memory requests.ephemeral-storage"
_HUGEPAGES = re.compile(r"(limits|requests)\.hugepages-\w+")


def variables(path: Path, container: Container) -> Findings:
    """env and envFrom of a container."""
    seen: dict[str, int] = {}
    for i, variable in enumerate(container.env):
        here = (*path, "env", i)
        yield from names.env_name((*here, "name"), variable.name)
        if variable.name in seen:
            text = f'"{variable.name}" is set twice; this one hides env[{seen[variable.name]}]'
            yield Finding((*here, "name"), text, warning=True)
        seen[variable.name] = i
        if variable.value_from is not None:
            if variable.value:
                yield Finding((*here, "valueFrom"), "value and valueFrom exclude each other")
            yield from _source((*here, "valueFrom"), variable.value_from)
    for i, source in enumerate(container.env_from):
        here = (*path, "envFrom", i)
        if source.prefix:
            yield from names.env_name((*here, "prefix"), source.prefix)
        if (source.config_map_ref is None) == (source.secret_ref is None):
            yield Finding(here, "exactly one of configMapRef and secretRef is needed")
        for field, reference in (("configMapRef", source.config_map_ref), ("secretRef", source.secret_ref)):
            if reference is not None:
                yield from names.subdomain((*here, field, "name"), reference.name)


def _source(path: Path, source: EnvVarSource) -> Findings:
    given = [getattr(source, field) for field in source.__struct_fields__]
    if sum(value is not None for value in given) != 1:
        yield Finding(path, "exactly one of fieldRef, resourceFieldRef, configMapKeyRef and secretKeyRef is needed")
    if source.field_ref is not None:
        yield from field((*path, "fieldRef", "fieldPath"), source.field_ref, ENV_FIELDS)
    if source.resource_field_ref is not None:
        yield from resource((*path, "resourceFieldRef"), source.resource_field_ref)
    yield from _key((*path, "configMapKeyRef"), source.config_map_key_ref)
    yield from _key((*path, "secretKeyRef"), source.secret_key_ref)


def _key(path: Path, selector: KeySelector | None) -> Findings:
    if selector is not None:
        yield from names.subdomain((*path, "name"), selector.name)
        yield from names.config_key((*path, "key"), selector.key)


def field(path: Path, selector: ObjectFieldSelector, allowed: list[str]) -> Findings:
    """A field of the pod."""
    if selector.field_path not in allowed and not SUBSCRIPT.fullmatch(selector.field_path):
        words = ", ".join([*allowed, "metadata.labels['KEY']", "metadata.annotations['KEY']"])
        yield Finding(path, f'unsupported value "{selector.field_path}"; it should be one of {words}')


def resource(path: Path, selector: ResourceFieldSelector, named: bool = False) -> Findings:
    """A container's resource; in volumes the container has to be `named`."""
    if selector.resource not in _RESOURCES.split() and not _HUGEPAGES.fullmatch(selector.resource):
        yield Finding((*path, "resource"), f'unsupported value "{selector.resource}"; it should be one of {_RESOURCES}')
    if named and not selector.container_name:
        yield Finding((*path, "containerName"), "required value")
    allowed = {
        "cpu": ("1", "1m"),
        "memory": ("1", "1k", "1M", "1G", "1T", "1P", "1E", "1Ki", "1Mi", "1Gi", "1Ti", "1Pi", "1Ei"),
    }
    kind = "cpu" if selector.resource.endswith(".cpu") else "memory"
    if parse(selector.divisor) and parse(selector.divisor) not in [parse(unit) for unit in allowed[kind]]:
        words = ", ".join(allowed[kind])
        yield Finding((*path, "divisor"), f'unsupported value "{selector.divisor}"; it should be one of {words}')
