"""Volumes: CRI mounts as OCI mounts."""

from __future__ import annotations

from cricket.errors import InvalidArgument, RROUnsupported, Unimplemented
from cricket.oci import check
from cricket.oci.inputs import JsonDict, ResolvedMount, RuntimeFeatures
from cricket.oci.namespaces import id_mappings
from cricket.types.container import Propagation, VolumeMount

_PROPAGATION = {
    Propagation.PRIVATE: "rprivate",
    Propagation.HOST_TO_CONTAINER: "rslave",
    Propagation.BIDIRECTIONAL: "rshared",
}
# Runtimes hand what they do not know to the kernel as file-system data, which a bind mount ignores without a word.
_OPTIONS = frozenset(
    ["nosuid", "suid", "nodev", "dev", "noexec", "exec", "noatime", "atime", "nodiratime", "diratime"]
    + ["relatime", "norelatime", "strictatime", "ro"]
)
_NEWER_OPTIONS = frozenset(["nosymfollow", "symfollow"])


def volume_mount(resolved: ResolvedMount, features: RuntimeFeatures) -> JsonDict:
    """The OCI bind mount of a volume.

    Raises InvalidArgument for what contradicts itself, RROUnsupported and Unimplemented for what the runtime lacks.
    """
    mount = resolved.mount
    destination = check.absolute_path(mount.container_path, "mounts.container_path")
    if destination == "/":
        raise InvalidArgument("a volume cannot replace the root file system", where="mounts.container_path")
    options = ["rbind", _PROPAGATION[mount.propagation], _read_only(mount, features)]
    options += [o for o in _extra_options(mount, features) if o not in options]
    result: JsonDict = {
        "destination": destination,
        "type": "bind",
        "source": check.absolute_path(resolved.source, "mounts.host_path"),
        "options": options,
    }
    if (mount.uid_mappings or mount.gid_mappings) and not resolved.idmapped:
        if not features.idmap_mounts:
            raise Unimplemented(f"{features.name} {features.version} cannot id-map volumes", where=destination)
        result["uidMappings"] = id_mappings(mount.uid_mappings)
        result["gidMappings"] = id_mappings(mount.gid_mappings)
    return result


def _read_only(mount: VolumeMount, features: RuntimeFeatures) -> str:
    """ "rw", "ro" or "rro"; image volumes are read-only by definition."""
    readonly = mount.readonly or bool(mount.image) or "ro" in mount.options
    if not mount.recursive_read_only:
        return "ro" if readonly else "rw"
    if not readonly:
        raise InvalidArgument("recursive_read_only needs readonly", where=mount.container_path)
    if mount.propagation != Propagation.PRIVATE:
        raise InvalidArgument("recursive_read_only needs private propagation", where=mount.container_path)
    if not features.recursive_read_only:
        raise RROUnsupported(
            f"{features.name} {features.version} has no recursive read-only mounts", where=mount.container_path
        )
    return "rro"


def _extra_options(mount: VolumeMount, features: RuntimeFeatures) -> list[str]:
    allowed = _OPTIONS | (_NEWER_OPTIONS & features.mount_options)
    for option in mount.options:
        if option not in allowed:
            raise InvalidArgument(f"mount option {option[:64]!r} is not possible on a volume", where="mount_options")
    return [o for o in mount.options if o != "ro"]
