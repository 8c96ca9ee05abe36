"""Pod sandboxes: configuration as asked for, record as persisted, and the transition table."""

from __future__ import annotations

from enum import IntEnum, StrEnum

import msgspec

from cricket.errors import FailedPrecondition
from cricket.types.resources import Resources
from cricket.types.security import SandboxSecurity


class SandboxMetadata(msgspec.Struct, frozen=True, omit_defaults=True):
    """The kubelet's name of a sandbox; unique on the node as a whole."""

    name: str
    uid: str
    namespace: str
    attempt: int = 0

    @property
    def key(self) -> str:
        """The reserved name: one live sandbox per key. Whatever the names hold, no two sandboxes share one."""
        return repr((self.name, self.namespace, self.uid, self.attempt))


class Dns(msgspec.Struct, frozen=True, omit_defaults=True):
    """resolv.conf of the pod; None in the config means the host's file."""

    servers: tuple[str, ...] = ()
    searches: tuple[str, ...] = ()
    options: tuple[str, ...] = ()


class Protocol(IntEnum):
    """CRI `Protocol`, same numbers."""

    TCP = 0
    UDP = 1
    SCTP = 2


class PortMapping(msgspec.Struct, frozen=True, omit_defaults=True):
    """A hostport; `host_ip` "" means every address of the node."""

    protocol: Protocol = Protocol.TCP
    container_port: int = 0
    host_port: int = 0
    host_ip: str = ""


class SandboxConfig(msgspec.Struct, frozen=True, omit_defaults=True):
    """CRI `PodSandboxConfig`, verbatim."""

    metadata: SandboxMetadata
    hostname: str = ""
    log_directory: str = ""
    dns: Dns | None = None
    port_mappings: tuple[PortMapping, ...] = ()
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    cgroup_parent: str = ""
    security: SandboxSecurity = SandboxSecurity()
    sysctls: dict[str, str] = {}
    overhead: Resources | None = None
    resources: Resources | None = None


class SandboxState(StrEnum):
    """Persisted state. CRI shows READY as SANDBOX_READY and everything else as SANDBOX_NOTREADY."""

    CREATING = "creating"
    READY = "ready"
    STOPPING = "stopping"
    STOPPED = "stopped"
    REMOVING = "removing"


class SandboxEvent(StrEnum):
    """What can happen to a sandbox. LOST: its namespaces or init are gone (reboot, kill)."""

    STARTED = "started"
    STOP = "stop"
    STOPPED = "stopped"
    LOST = "lost"
    REMOVE = "remove"


SANDBOX_TRANSITIONS: dict[tuple[SandboxState, SandboxEvent], SandboxState] = {
    (SandboxState.CREATING, SandboxEvent.STARTED): SandboxState.READY,
    (SandboxState.CREATING, SandboxEvent.REMOVE): SandboxState.REMOVING,
    (SandboxState.READY, SandboxEvent.STOP): SandboxState.STOPPING,
    (SandboxState.READY, SandboxEvent.LOST): SandboxState.STOPPING,
    (SandboxState.STOPPING, SandboxEvent.STOP): SandboxState.STOPPING,
    (SandboxState.STOPPING, SandboxEvent.STOPPED): SandboxState.STOPPED,
    (SandboxState.STOPPED, SandboxEvent.STOP): SandboxState.STOPPED,
    (SandboxState.STOPPED, SandboxEvent.REMOVE): SandboxState.REMOVING,
    (SandboxState.REMOVING, SandboxEvent.REMOVE): SandboxState.REMOVING,
}


class Sandbox(msgspec.Struct, frozen=True, omit_defaults=True):
    """The record of a sandbox, as persisted.

    `created_at` is in Unix nanoseconds; `ips` are textual addresses, the primary first; `netns` is the pin's path or ""
    for the host's network; `boot_id` is the kernel boot in which it ran; `init_pid` is 0 when it needs no init;
    `handler` is what the request said, `runtime` the handler that this meant when the sandbox was made; `released`
    says that a stop has given back network, namespaces and init, so that a removal need not.
    """

    id: str
    config: SandboxConfig
    handler: str
    state: SandboxState
    created_at: int
    boot_id: str
    runtime: str = ""
    ips: tuple[str, ...] = ()
    netns: str = ""
    init_pid: int = 0
    resources: Resources | None = None
    overhead: Resources | None = None
    released: bool = False

    def fire(self, event: SandboxEvent, **changes: object) -> Sandbox:
        """The record after `event`; raises FailedPrecondition and changes nothing when the table forbids it."""
        to = SANDBOX_TRANSITIONS.get((self.state, event))
        if to is None:
            raise FailedPrecondition(f"a sandbox that is {self.state} cannot take the event {event}", where=self.id)
        return msgspec.structs.replace(self, state=to, **changes)

    def with_network(self, netns: str, ips: tuple[str, ...]) -> Sandbox:
        """The record with its network attachment."""
        return msgspec.structs.replace(self, netns=netns, ips=ips)
