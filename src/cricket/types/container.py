"""Containers: configuration as asked for, record as persisted, and the transition table."""

from __future__ import annotations

from enum import IntEnum, StrEnum

import msgspec

from cricket.errors import FailedPrecondition
from cricket.types.resources import Device, Resources
from cricket.types.security import ContainerSecurity, IdMapping


class ContainerMetadata(msgspec.Struct, frozen=True, omit_defaults=True):
    """The kubelet's name of a container within its sandbox."""

    name: str
    attempt: int = 0

    def key(self, sandbox_key: str) -> str:
        """The reserved name: one live container per key. Whatever the names hold, no two containers share one."""
        return repr((self.name, sandbox_key, self.attempt))


class Propagation(IntEnum):
    """CRI `MountPropagation`, same numbers."""

    PRIVATE = 0
    HOST_TO_CONTAINER = 1
    BIDIRECTIONAL = 2


class VolumeMount(msgspec.Struct, frozen=True, omit_defaults=True):
    """CRI `Mount`. Either `host_path` or `image` (an image volume, with `image_sub_path`) is the source."""

    container_path: str
    host_path: str = ""
    readonly: bool = False
    selinux_relabel: bool = False
    propagation: Propagation = Propagation.PRIVATE
    uid_mappings: tuple[IdMapping, ...] = ()
    gid_mappings: tuple[IdMapping, ...] = ()
    recursive_read_only: bool = False
    image: str = ""
    image_sub_path: str = ""
    options: tuple[str, ...] = ()


class ContainerConfig(msgspec.Struct, frozen=True, omit_defaults=True):
    """CRI `ContainerConfig`. `stop_signal` is a name like "SIGTERM" ("SIGRTMIN+3"), "" for the image's or the default.

    `image` is what the kubelet sent (an id, tag or digest), `user_image` what the user wrote in the pod.
    """

    metadata: ContainerMetadata
    image: str = ""
    user_image: str = ""
    image_annotations: dict[str, str] = {}
    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    working_dir: str = ""
    env: tuple[tuple[str, str], ...] = ()
    mounts: tuple[VolumeMount, ...] = ()
    devices: tuple[Device, ...] = ()
    cdi_devices: tuple[str, ...] = ()
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    log_path: str = ""
    stdin: bool = False
    stdin_once: bool = False
    tty: bool = False
    resources: Resources = Resources()
    security: ContainerSecurity = ContainerSecurity()
    stop_signal: str = ""


class ContainerState(StrEnum):
    """Persisted state. CRI shows CREATING as CREATED, STARTING as CREATED, STOPPING as RUNNING, REMOVING as EXITED."""

    CREATING = "creating"
    CREATED = "created"
    STARTING = "starting"
    RUNNING = "running"
    EXITED = "exited"
    REMOVING = "removing"


class ContainerEvent(StrEnum):
    """What can happen to a container. RESET: the daemon died in the middle of a start, which was undone."""

    CREATED = "created"
    START = "start"
    STARTED = "started"
    FAILED = "failed"
    EXITED = "exited"
    RESET = "reset"
    REMOVE = "remove"


_S, _E = ContainerState, ContainerEvent
CONTAINER_TRANSITIONS: dict[tuple[ContainerState, ContainerEvent], ContainerState] = {
    (_S.CREATING, _E.CREATED): _S.CREATED,
    (_S.CREATING, _E.REMOVE): _S.REMOVING,
    (_S.CREATED, _E.START): _S.STARTING,
    (_S.CREATED, _E.EXITED): _S.EXITED,
    (_S.CREATED, _E.REMOVE): _S.REMOVING,
    (_S.STARTING, _E.STARTED): _S.RUNNING,
    (_S.STARTING, _E.FAILED): _S.EXITED,
    (_S.STARTING, _E.RESET): _S.CREATED,
    (_S.STARTING, _E.EXITED): _S.EXITED,
    (_S.STARTING, _E.REMOVE): _S.REMOVING,
    (_S.RUNNING, _E.EXITED): _S.EXITED,
    (_S.EXITED, _E.REMOVE): _S.REMOVING,
    (_S.REMOVING, _E.REMOVE): _S.REMOVING,
}


class UserIds(msgspec.Struct, frozen=True, omit_defaults=True):
    """The ids that the first process runs with."""

    uid: int = 0
    gid: int = 0
    groups: tuple[int, ...] = ()


class Container(msgspec.Struct, frozen=True, omit_defaults=True):
    """The record of a container, as persisted. Times are Unix nanoseconds, 0 when not yet.

    `image_id` is the config digest; `image_ref` a digest reference when one is known; `mounts` are the mounts as the
    status shows them (image volumes with the Image.id); `log_path` is absolute; `snapshot` is the key of the root
    file system; `stop_signal` a number.
    """

    id: str
    sandbox_id: str
    config: ContainerConfig
    state: ContainerState
    created_at: int
    image_id: str = ""
    image_ref: str = ""
    handler: str = ""
    log_path: str = ""
    mounts: tuple[VolumeMount, ...] = ()
    user: UserIds = UserIds()
    resources: Resources = Resources()
    stop_signal: int = 15
    pid: int = 0
    started_at: int = 0
    finished_at: int = 0
    exit_code: int = 0
    reason: str = ""
    message: str = ""
    stop_requested: bool = False
    cgroup: str = ""
    boot_id: str = ""
    restore_from: str = ""

    def fire(self, event: ContainerEvent, **changes: object) -> Container:
        """The record after `event`; raises FailedPrecondition and changes nothing when the table forbids it."""
        to = CONTAINER_TRANSITIONS.get((self.state, event))
        if to is None:
            raise FailedPrecondition(f"a container that is {self.state} cannot take the event {event}", where=self.id)
        return msgspec.structs.replace(self, state=to, **changes)
