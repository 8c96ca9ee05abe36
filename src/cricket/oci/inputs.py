"""Everything that a container's spec is made of. Whoever fills these in does the I/O; spec.py does none."""

from __future__ import annotations

from typing import Any

import msgspec

from cricket.oci.host import HostFacts
from cricket.types.container import ContainerConfig, UserIds, VolumeMount
from cricket.types.image import ImageConfig
from cricket.types.node import CgroupDriver
from cricket.types.sandbox import Sandbox

JsonDict = dict[str, Any]


class RuntimeFeatures(msgspec.Struct, frozen=True, omit_defaults=True):
    """What an OCI runtime was seen to do (see runtime_probe.py); nothing here is assumed.

    `oci_version` is the newest ociVersion that it accepts of those that we can write. `mount_options` is empty when
    the runtime does not tell. `idmap_mounts` false means that mappings on mounts are ignored, not refused.
    """

    name: str
    version: str = ""
    oci_version: str = "1.0.2"
    recursive_read_only: bool = False
    user_namespaces: bool = False
    idmap_mounts: bool = False
    checkpoint: bool = False
    seccomp: bool = False
    mount_options: frozenset[str] = frozenset()


class HandlerSettings(msgspec.Struct, frozen=True):
    """The part of a handler's configuration that shapes specs.

    Annotation patterns are globs. Capabilities are names without the CAP_ prefix. `rlimits` maps "RLIMIT_NOFILE" to
    (soft, hard). `pids_limit` 0 means none. `apparmor_profile` is the profile of RuntimeDefault.
    """

    features: RuntimeFeatures
    cgroup_driver: CgroupDriver = CgroupDriver.CGROUPFS
    pod_annotations: tuple[str, ...] = ()
    container_annotations: tuple[str, ...] = ()
    privileged_without_host_devices: bool = False
    privileged_without_host_devices_all_devices_allowed: bool = False
    device_ownership_from_security_context: bool = False
    cgroup_writable: bool = False
    default_capabilities: tuple[str, ...] | None = None
    rlimits: dict[str, tuple[int, int]] = {}
    pids_limit: int = 0
    apparmor_profile: str = "cricket-default"
    selinux: bool = False


class ResolvedMount(msgspec.Struct, frozen=True):
    """A CRI mount with its real source: symlinks followed, or where an image volume is mounted.

    `idmapped` says that `source` is an id-mapped mount already, so that the runtime must not map it again.
    """

    mount: VolumeMount
    source: str
    idmapped: bool = False


class DeviceNode(msgspec.Struct, frozen=True):
    """A device of the host as the container will see it at `path`. `type` is "c", "b" or "p"."""

    path: str
    host_path: str
    type: str
    major: int
    minor: int
    mode: int = 0o666
    uid: int = 0
    gid: int = 0
    permissions: str = "rwm"


class SandboxFiles(msgspec.Struct, frozen=True, omit_defaults=True):
    """Host paths of what each container of a sandbox gets mounted; "" means that there is none.

    `shm` is a directory: the sandbox's tmpfs, or the host's /dev/shm for a pod in the host's IPC namespace.
    """

    hosts: str = ""
    hostname: str = ""
    resolv_conf: str = ""
    shm: str = ""


class SelinuxLabels(msgspec.Struct, frozen=True, omit_defaults=True):
    """Process and file label; "" means unlabelled."""

    process: str = ""
    mount: str = ""


class SpecInputs(msgspec.Struct, frozen=True):
    """The arguments of `container_spec`.

    `namespaces` maps "net", "ipc", "uts", "user", "pid" to pins or /proc/N/ns files; a kind that is absent is the
    host's, except "pid", which the namespace options decide. `rootfs` is absolute. `user` comes from users.py,
    `mounts` and the device lists from resolve.py, `seccomp` (only for Localhost profiles, or to replace the built-in
    default) from seccomp.py. `image_name` is shown in an annotation.
    """

    id: str
    sandbox: Sandbox
    config: ContainerConfig
    image: ImageConfig
    rootfs: str
    user: UserIds
    host: HostFacts
    handler: HandlerSettings
    namespaces: dict[str, str]
    mounts: tuple[ResolvedMount, ...] = ()
    files: SandboxFiles = SandboxFiles()
    devices: tuple[DeviceNode, ...] = ()
    host_devices: tuple[DeviceNode, ...] = ()
    seccomp: JsonDict | None = None
    selinux: SelinuxLabels = SelinuxLabels()
    image_name: str = ""
    sysctls: dict[str, str] = {}

    @property
    def privileged(self) -> bool:
        """Whether the container is privileged."""
        return self.config.security.privileged

    @property
    def in_userns(self) -> bool:
        """Whether the container joins a user namespace."""
        return bool(self.namespaces.get("user"))
