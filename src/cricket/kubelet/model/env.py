"""Where the environment of a container comes from."""

from __future__ import annotations

from cricket.kubelet.model.base import KubeStruct, Quantity


class ObjectFieldSelector(KubeStruct, frozen=True):
    """A field of the pod, like "metadata.labels['app']" or "status.podIP"."""

    field_path: str
    api_version: str = "v1"


class ResourceFieldSelector(KubeStruct, frozen=True):
    """A container's resource ("limits.cpu"), divided by `divisor` and rounded up. `container_name` is needed in
    volumes."""

    resource: str
    container_name: str = ""
    divisor: Quantity = Quantity("1")


class KeySelector(KubeStruct, frozen=True):
    """A key of a ConfigMap or Secret."""

    key: str
    name: str = ""
    optional: bool = False


class EnvVarSource(KubeStruct, frozen=True):
    """Exactly one of these."""

    field_ref: ObjectFieldSelector | None = None
    resource_field_ref: ResourceFieldSelector | None = None
    config_map_key_ref: KeySelector | None = None
    secret_key_ref: KeySelector | None = None


class EnvVar(KubeStruct, frozen=True):
    """A variable; `value` may hold $(NAME) of variables before it."""

    name: str
    value: str = ""
    value_from: EnvVarSource | None = None


class OptionalReference(KubeStruct, frozen=True):
    """A whole ConfigMap or Secret."""

    name: str = ""
    optional: bool = False


class EnvFromSource(KubeStruct, frozen=True):
    """All keys of a ConfigMap or a Secret, with a prefix."""

    prefix: str = ""
    config_map_ref: OptionalReference | None = None
    secret_ref: OptionalReference | None = None
