"""A pod."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from cricket.kubelet.model.base import KubeStruct, LocalObjectReference, ObjectMeta, Resources
from cricket.kubelet.model.container import Container, ResourceRequirements
from cricket.kubelet.model.security import PodSecurityContext
from cricket.kubelet.model.volume import Volume


class HostAlias(KubeStruct, frozen=True):
    """A line of /etc/hosts."""

    ip: str
    hostnames: tuple[str, ...] = ()


class DNSOption(KubeStruct, frozen=True):
    """An option of resolv.conf."""

    name: str
    value: str | None = None


class PodDNSConfig(KubeStruct, frozen=True):
    """Added to what `dns_policy` gives."""

    nameservers: tuple[str, ...] = ()
    searches: tuple[str, ...] = ()
    options: tuple[DNSOption, ...] = ()


class PodOS(KubeStruct, frozen=True):
    """Only "linux"."""

    name: str


class PodSpec(KubeStruct, frozen=True):
    """What the agent has to make true."""

    containers: tuple[Container, ...]
    init_containers: tuple[Container, ...] = ()
    volumes: tuple[Volume, ...] = ()
    restart_policy: str = "Always"
    termination_grace_period_seconds: int = 30
    active_deadline_seconds: int | None = None
    dns_policy: str = "ClusterFirst"
    dns_config: PodDNSConfig | None = None
    host_network: bool = False
    host_pid: bool = msgspec.field(default=False, name="hostPID")
    host_ipc: bool = msgspec.field(default=False, name="hostIPC")
    host_users: bool | None = None
    share_process_namespace: bool = False
    security_context: PodSecurityContext = PodSecurityContext()
    image_pull_secrets: tuple[LocalObjectReference, ...] = ()
    hostname: str = ""
    subdomain: str = ""
    set_hostname_as_fqdn: bool = msgspec.field(default=False, name="setHostnameAsFQDN")
    hostname_override: str | None = None
    host_aliases: tuple[HostAlias, ...] = ()
    runtime_class_name: str = ""
    overhead: Resources = {}
    resources: ResourceRequirements | None = None
    priority: int = 0
    priority_class_name: str = ""
    os: PodOS | None = None


class Owner(msgspec.Struct, frozen=True, omit_defaults=True):
    """The Deployment, DaemonSet, StatefulSet or Job that a pod was made for; not a part of the manifest's pod.

    `index` counts from 0; of the pods of a Job no more than `parallelism` are to run at a time, and after
    `backoff_limit` failures no more are made. `completions`, `active_deadline_seconds` and `ttl_seconds` are the Job's.
    `ordered`: each pod of a StatefulSet waits for those before it.
    """

    kind: str
    name: str
    index: int = 0
    replicas: int = 1
    parallelism: int = 0
    backoff_limit: int = 6
    active_deadline_seconds: int | None = None
    completions: int | None = None
    ttl_seconds: int | None = None
    ordered: bool = False


class Pod(msgspec.Struct, frozen=True, omit_defaults=True):
    """A valid pod with all defaults filled in: its `metadata` has name, namespace and uid."""

    metadata: ObjectMeta
    spec: PodSpec
    origin: str = ""
    owner: Owner | None = None

    @property
    def key(self) -> str:
        """namespace/name: two desired pods never share it."""
        return self.metadata.key

    def containers(self) -> Iterator[Container]:
        """All of them: the init containers, in order, then the others."""
        yield from self.spec.init_containers
        yield from self.spec.containers
