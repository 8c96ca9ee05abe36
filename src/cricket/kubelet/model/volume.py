"""Volumes of a pod. Modes are numbers, which YAML may write as 0644."""

from __future__ import annotations

import msgspec

from cricket.kubelet.model.base import KubeStruct, Quantity
from cricket.kubelet.model.env import ObjectFieldSelector, ResourceFieldSelector

DEFAULT_MODE = 0o644


class EmptyDir(KubeStruct, frozen=True):
    """A directory that lives as long as the pod; `medium` is "" (disk) or "Memory"."""

    medium: str = ""
    size_limit: Quantity | None = None


class HostPath(KubeStruct, frozen=True):
    """A path of the node; `type` says what has to be there: "", Directory, DirectoryOrCreate, File, FileOrCreate,
    Socket, CharDevice, BlockDevice."""

    path: str
    type: str = ""


class KeyToPath(KubeStruct, frozen=True):
    """A key as a file."""

    key: str
    path: str
    mode: int | None = None


class ConfigMapVolume(KubeStruct, frozen=True):
    """A ConfigMap's keys as files; all of them when `items` is empty."""

    name: str = ""
    items: tuple[KeyToPath, ...] = ()
    default_mode: int = DEFAULT_MODE
    optional: bool = False


class SecretVolume(KubeStruct, frozen=True):
    """As ConfigMapVolume, on tmpfs."""

    secret_name: str = ""
    items: tuple[KeyToPath, ...] = ()
    default_mode: int = DEFAULT_MODE
    optional: bool = False


class DownwardFile(KubeStruct, frozen=True):
    """A field of the pod as a file."""

    path: str
    field_ref: ObjectFieldSelector | None = None
    resource_field_ref: ResourceFieldSelector | None = None
    mode: int | None = None


class DownwardVolume(KubeStruct, frozen=True):
    """Fields of the pod as files."""

    items: tuple[DownwardFile, ...] = ()
    default_mode: int = DEFAULT_MODE


class ObjectProjection(KubeStruct, frozen=True):
    """A ConfigMap or Secret in a projected volume."""

    name: str = ""
    items: tuple[KeyToPath, ...] = ()
    optional: bool = False


class DownwardProjection(KubeStruct, frozen=True):
    """Fields of the pod in a projected volume."""

    items: tuple[DownwardFile, ...] = ()


class Projection(KubeStruct, frozen=True):
    """Exactly one of these."""

    secret: ObjectProjection | None = None
    config_map: ObjectProjection | None = None
    downward_api: DownwardProjection | None = msgspec.field(default=None, name="downwardAPI")


class ProjectedVolume(KubeStruct, frozen=True):
    """Several sources in one directory."""

    sources: tuple[Projection, ...] = ()
    default_mode: int = DEFAULT_MODE


class ImageVolume(KubeStruct, frozen=True):
    """The files of an image, read-only."""

    reference: str = ""
    pull_policy: str = ""


class ClaimVolume(KubeStruct, frozen=True):
    """A PersistentVolumeClaim: a directory of this node that outlives pods."""

    claim_name: str
    read_only: bool = False


class Volume(KubeStruct, frozen=True):
    """A name and exactly one source; without one it is an emptyDir."""

    name: str
    empty_dir: EmptyDir | None = None
    host_path: HostPath | None = None
    config_map: ConfigMapVolume | None = None
    secret: SecretVolume | None = None
    projected: ProjectedVolume | None = None
    downward_api: DownwardVolume | None = msgspec.field(default=None, name="downwardAPI")
    image: ImageVolume | None = None
    persistent_volume_claim: ClaimVolume | None = None


class VolumeMount(KubeStruct, frozen=True):
    """A volume, or what `sub_path` names in it, in a container."""

    name: str
    mount_path: str
    read_only: bool = False
    recursive_read_only: str = "Disabled"
    sub_path: str = ""
    sub_path_expr: str = ""
    mount_propagation: str = "None"
