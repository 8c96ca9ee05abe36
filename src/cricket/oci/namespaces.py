"""Which namespaces a container joins, makes, or shares with the host."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from cricket.errors import FailedPrecondition, InvalidArgument
from cricket.oci.inputs import JsonDict, SpecInputs
from cricket.types.security import IdMapping, NamespaceMode, NamespaceOptions, UserNamespace

_OCI_TYPE = {"net": "network", "ipc": "ipc", "uts": "uts", "user": "user", "pid": "pid"}
_MAX_ID = (1 << 32) - 2


def container_namespaces(inputs: SpecInputs) -> list[JsonDict]:
    """OCI `linux.namespaces`. Raises FailedPrecondition when the PID namespace to join is not there."""
    paths = inputs.namespaces
    result: list[JsonDict] = [{"type": "mount"}]
    # The user namespace first: the others belong to it.
    for kind in ("user", "net", "ipc", "uts"):
        if paths.get(kind):
            result.append({"type": _OCI_TYPE[kind], "path": paths[kind]})
    pid = pid_namespace(inputs.config.security.namespaces, paths)
    if pid is not None:
        result.append(pid)
    # It hides the rest of /sys/fs/cgroup; on v1, and for the privileged, the peers leave it out and tools rely on that.
    if inputs.host.cgroup_version == 2 and not inputs.privileged:
        result.append({"type": "cgroup"})
    return result


def pid_namespace(options: NamespaceOptions, paths: Mapping[str, str]) -> JsonDict | None:
    """The PID namespace: None for the host's. Raises FailedPrecondition when one is to be joined but not given."""
    if options.pid == NamespaceMode.NODE:
        return None
    if options.pid == NamespaceMode.CONTAINER:
        return {"type": "pid"}
    path = paths.get("pid", "")
    if not path:
        whose = "the target container" if options.pid == NamespaceMode.TARGET else "the sandbox"
        raise FailedPrecondition(f"there is no PID namespace of {whose} to join", where=options.target_id)
    return {"type": "pid", "path": path}


def check_user_namespace(userns: UserNamespace | None) -> UserNamespace | None:
    """The pod's user namespace when it has one of its own, else None.

    Raises InvalidArgument unless it is NODE without mappings, or POD with one mapping each that maps id 0 (KEP-127).
    """
    if userns is None:
        return None
    if userns.mode == NamespaceMode.NODE:
        if userns.uids or userns.gids:
            raise InvalidArgument("mappings are given, but the mode is NODE", where="userns_options")
        return None
    if userns.mode != NamespaceMode.POD:
        raise InvalidArgument(f"mode {userns.mode.name} is not possible for a user namespace", where="userns_options")
    check_mappings(userns.uids, "userns_options.uids")
    check_mappings(userns.gids, "userns_options.gids")
    return userns


def check_mappings(mappings: Sequence[IdMapping], field: str) -> None:
    """Raises InvalidArgument unless there is exactly one mapping, within 32 bits, that maps id 0."""
    if len(mappings) != 1:
        raise InvalidArgument(f"there are {len(mappings)} mappings instead of one", where=field)
    one = mappings[0]
    if one.container_id != 0:
        raise InvalidArgument("id 0 of the container is not mapped", where=field)
    if one.length < 1 or one.host_id < 0 or one.host_id + one.length - 1 > _MAX_ID:
        raise InvalidArgument(f"ids {one.host_id} to {one.host_id + one.length - 1} are out of range", where=field)


def check_same_user_namespace(sandbox: NamespaceOptions, container: NamespaceOptions) -> None:
    """Raises InvalidArgument when a container asks for another user namespace than its sandbox has."""
    if check_user_namespace(sandbox.userns) != check_user_namespace(container.userns):
        raise InvalidArgument("the container's user namespace differs from its sandbox's", where="userns_options")


def id_mappings(mappings: Sequence[IdMapping]) -> list[JsonDict]:
    """OCI `LinuxIDMapping`s."""
    return [{"containerID": m.container_id, "hostID": m.host_id, "size": m.length} for m in mappings]
