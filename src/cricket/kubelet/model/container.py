"""A container of a pod."""

from __future__ import annotations

import msgspec

from cricket.kubelet.model.base import KubeStruct, Resources
from cricket.kubelet.model.env import EnvFromSource, EnvVar
from cricket.kubelet.model.probe import Lifecycle, Probe
from cricket.kubelet.model.security import SecurityContext
from cricket.kubelet.model.volume import VolumeMount


class ContainerPort(KubeStruct, frozen=True):
    """A port; `host_port` 0 means none."""

    container_port: int
    name: str = ""
    host_port: int = 0
    host_ip: str = msgspec.field(default="", name="hostIP")
    protocol: str = "TCP"


class ResourceRequirements(KubeStruct, frozen=True):
    """What is reserved and what is allowed; a request that is not given is the limit."""

    limits: Resources = {}
    requests: Resources = {}


class ResizePolicy(KubeStruct, frozen=True):
    """Whether a change of "cpu" or "memory" is made in place: NotRequired, or RestartContainer."""

    resource_name: str
    restart_policy: str


class ExitCodes(KubeStruct, frozen=True):
    """Codes with which a container ends; `operator` is In or NotIn."""

    operator: str
    values: tuple[int, ...] = ()


class RestartRule(KubeStruct, frozen=True):
    """An exception from the restart policy; the only action is Restart."""

    action: str
    exit_codes: ExitCodes | None = None

    def matches(self, code: int) -> bool:
        """Whether it speaks of this exit code."""
        codes = self.exit_codes
        return codes is not None and (code in codes.values) is (codes.operator == "In")


class Container(KubeStruct, frozen=True):
    """A container. `restart_policy` "" is the pod's; the first of its rules that matches goes before it.
    `image_pull_policy` is filled in by the loader."""

    name: str
    image: str = ""
    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    working_dir: str = ""
    ports: tuple[ContainerPort, ...] = ()
    env_from: tuple[EnvFromSource, ...] = ()
    env: tuple[EnvVar, ...] = ()
    resources: ResourceRequirements = ResourceRequirements()
    resize_policy: tuple[ResizePolicy, ...] = ()
    restart_policy: str = ""
    restart_policy_rules: tuple[RestartRule, ...] = ()
    volume_mounts: tuple[VolumeMount, ...] = ()
    liveness_probe: Probe | None = None
    readiness_probe: Probe | None = None
    startup_probe: Probe | None = None
    lifecycle: Lifecycle | None = None
    termination_message_path: str = "/dev/termination-log"
    termination_message_policy: str = "File"
    image_pull_policy: str = ""
    security_context: SecurityContext = SecurityContext()
    stdin: bool = False
    stdin_once: bool = False
    tty: bool = False

    @property
    def sidecar(self) -> bool:
        """Whether this runs beside the others, if it is an init container."""
        return self.restart_policy == "Always"
