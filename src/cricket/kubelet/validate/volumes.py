"""Volumes, and mounts of them."""

from __future__ import annotations

from cricket.kubelet.manifest.finding import Finding, Findings, Path, one_of
from cricket.kubelet.model.container import Container
from cricket.kubelet.model.pod import PodSpec
from cricket.kubelet.model.volume import DownwardFile, HostPath, KeyToPath, ProjectedVolume, Volume, VolumeMount
from cricket.kubelet.quantity import parse
from cricket.kubelet.validate import env, names

HOST_PATH_TYPES = (
    "", "Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket", "CharDevice", "BlockDevice",
)  # fmt: skip


def volumes(path: Path, spec: PodSpec) -> Findings:
    """All of a pod: names, one source each, what the source says."""
    seen = set()
    for i, volume in enumerate(spec.volumes):
        here = (*path, i)
        yield from names.label((*here, "name"), volume.name)
        if volume.name in seen:
            yield Finding((*here, "name"), f'duplicate value "{volume.name}"')
        seen.add(volume.name)
        sources = [f for f in volume.__struct_fields__ if f != "name" and getattr(volume, f) is not None]
        if len(sources) > 1:
            yield Finding(here, "a volume has one source, and this one has several")
        yield from _source(here, volume, spec)


def _source(path: Path, volume: Volume, spec: PodSpec) -> Findings:
    if (empty := volume.empty_dir) is not None:
        here = (*path, "emptyDir")
        if not empty.medium.startswith("HugePages"):
            yield from one_of((*here, "medium"), empty.medium, ("", "Memory"))
        else:
            yield Finding((*here, "medium"), "not supported: huge pages as files")
        if empty.size_limit is not None and parse(empty.size_limit) < 0:
            yield Finding((*here, "sizeLimit"), f"{empty.size_limit} is negative")
        elif empty.size_limit is not None and not empty.medium:
            text = "ignored: only medium: Memory is limited; nothing is evicted here"
            yield Finding((*here, "sizeLimit"), text, warning=True)
    if volume.host_path is not None:
        yield from _host_path((*path, "hostPath"), volume.host_path)
    if (config := volume.config_map) is not None:
        yield from names.subdomain((*path, "configMap", "name"), config.name)
        yield from _files((*path, "configMap"), config.items, config.default_mode)
    if (secret := volume.secret) is not None:
        yield from names.subdomain((*path, "secret", "secretName"), secret.secret_name)
        yield from _files((*path, "secret"), secret.items, secret.default_mode)
    if (downward := volume.downward_api) is not None:
        yield from _mode((*path, "downwardAPI", "defaultMode"), downward.default_mode)
        yield from _downward((*path, "downwardAPI", "items"), downward.items, spec)
    if volume.projected is not None:
        yield from _projected((*path, "projected"), volume.projected, spec)
    if (image := volume.image) is not None:
        if not image.reference:
            yield Finding((*path, "image", "reference"), "required value")
        policies = ("", "Always", "IfNotPresent", "Never")
        yield from one_of((*path, "image", "pullPolicy"), image.pull_policy, policies)
    if (claim := volume.persistent_volume_claim) is not None:
        yield from names.subdomain((*path, "persistentVolumeClaim", "claimName"), claim.claim_name)


def _host_path(path: Path, value: HostPath) -> Findings:
    if not value.path:
        yield Finding((*path, "path"), "required value")
    elif ".." in value.path.split("/"):
        yield Finding((*path, "path"), f'"{value.path}" should not contain ".."')
    elif not value.path.startswith("/"):
        yield Finding((*path, "path"), f'"{value.path}" should be an absolute path')
    yield from one_of((*path, "type"), value.type, HOST_PATH_TYPES)


def _files(path: Path, items: tuple[KeyToPath, ...], default_mode: int) -> Findings:
    yield from _mode((*path, "defaultMode"), default_mode)
    for i, item in enumerate(items):
        here = (*path, "items", i)
        if not item.key:
            yield Finding((*here, "key"), "required value")
        yield from _file_path((*here, "path"), item.path)
        if item.mode is not None:
            yield from _mode((*here, "mode"), item.mode)


def _downward(path: Path, items: tuple[DownwardFile, ...], spec: PodSpec) -> Findings:
    known = [c.name for c in (*spec.init_containers, *spec.containers)]
    for i, item in enumerate(items):
        here = (*path, i)
        yield from _file_path((*here, "path"), item.path)
        if (item.field_ref is None) == (item.resource_field_ref is None):
            yield Finding(here, "exactly one of fieldRef and resourceFieldRef is needed")
        if item.field_ref is not None:
            yield from env.field((*here, "fieldRef", "fieldPath"), item.field_ref, env.FILE_FIELDS)
        if (resource := item.resource_field_ref) is not None:
            yield from env.resource((*here, "resourceFieldRef"), resource, named=True)
            if resource.container_name and resource.container_name not in known:
                text = f'the pod has no container "{resource.container_name}"'
                yield Finding((*here, "resourceFieldRef", "containerName"), text)
        if item.mode is not None:
            yield from _mode((*here, "mode"), item.mode)


def _projected(path: Path, value: ProjectedVolume, spec: PodSpec) -> Findings:
    yield from _mode((*path, "defaultMode"), value.default_mode)
    taken: set[str] = set()
    for i, source in enumerate(value.sources):
        here = (*path, "sources", i)
        given = [getattr(source, f) for f in source.__struct_fields__ if getattr(source, f) is not None]
        if len(given) != 1:
            yield Finding(here, "exactly one of secret, configMap and downwardAPI is needed")
        for field, reference in (("secret", source.secret), ("configMap", source.config_map)):
            if reference is not None:
                yield from names.subdomain((*here, field, "name"), reference.name)
                yield from _files((*here, field), reference.items, 0)
        if source.downward_api is not None:
            yield from _downward((*here, "downwardAPI", "items"), source.downward_api.items, spec)
        for file in (f for part in given for f in part.items):
            if file.path in taken:
                yield Finding(here, f'"{file.path}" is projected twice')
            taken.add(file.path)


def _file_path(path: Path, value: str) -> Findings:
    if not value:
        yield Finding(path, "required value")
    elif value.startswith(".."):
        yield Finding(path, f'"{value}" should not begin with ".."')
    else:
        yield from names.relative(path, value)


def _mode(path: Path, mode: int) -> Findings:
    if not 0 <= mode <= 0o777:
        yield Finding(path, f"{mode} is no mode: 0 to 0777 (octal), or 511")


def mounts(path: Path, container: Container, spec: PodSpec) -> Findings:
    """volumeMounts of a container."""
    by_name = {volume.name: volume for volume in spec.volumes}
    taken = set()
    for i, mount in enumerate(container.volume_mounts):
        here = (*path, i)
        if not mount.name:
            yield Finding((*here, "name"), "required value")
        elif mount.name not in by_name:
            yield Finding((*here, "name"), f'the pod has no volume "{mount.name}"')
        if mount.mount_path and mount.mount_path in taken:
            yield Finding((*here, "mountPath"), f'"{mount.mount_path}" should be mounted once')
        taken.add(mount.mount_path)
        yield from _mount(here, mount, container)


def _mount(path: Path, mount: VolumeMount, container: Container) -> Findings:
    if not mount.mount_path:
        yield Finding((*path, "mountPath"), "required value")
    elif ":" in mount.mount_path:
        yield Finding((*path, "mountPath"), f'"{mount.mount_path}" should not contain ":"')
    if mount.sub_path and mount.sub_path_expr:
        yield Finding((*path, "subPathExpr"), "subPath and subPathExpr exclude each other")
    yield from names.relative((*path, "subPath"), mount.sub_path)
    yield from names.relative((*path, "subPathExpr"), mount.sub_path_expr)
    modes = ("None", "HostToContainer", "Bidirectional")
    yield from one_of((*path, "mountPropagation"), mount.mount_propagation, modes)
    if mount.mount_propagation == "Bidirectional" and not container.security_context.privileged:
        yield Finding((*path, "mountPropagation"), "Bidirectional is for privileged containers")
    here = (*path, "recursiveReadOnly")
    yield from one_of(here, mount.recursive_read_only, ("Disabled", "IfPossible", "Enabled"))
    if mount.recursive_read_only in ("IfPossible", "Enabled"):
        if not mount.read_only:
            yield Finding(here, "it needs readOnly: true")
        if mount.mount_propagation != "None":
            yield Finding(here, "it excludes mountPropagation")
