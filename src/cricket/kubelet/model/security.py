"""Security contexts of pods and containers. `None` means not said: the pod's, the image's or the default counts."""

from __future__ import annotations

from cricket.kubelet.model.base import KubeStruct


class SELinuxOptions(KubeStruct, frozen=True):
    """A label."""

    user: str = ""
    role: str = ""
    type: str = ""
    level: str = ""


class SeccompProfile(KubeStruct, frozen=True):
    """RuntimeDefault, Unconfined, or Localhost with a file below the agent's seccomp directory."""

    type: str
    localhost_profile: str = ""


class AppArmorProfile(KubeStruct, frozen=True):
    """RuntimeDefault, Unconfined, or Localhost with the name of a loaded profile."""

    type: str
    localhost_profile: str = ""


class Capabilities(KubeStruct, frozen=True):
    """Names without CAP_, or ALL."""

    add: tuple[str, ...] = ()
    drop: tuple[str, ...] = ()


class Sysctl(KubeStruct, frozen=True):
    """A kernel parameter of the pod's namespaces."""

    name: str
    value: str


class SecurityContext(KubeStruct, frozen=True):
    """Of a container; what it says wins over the pod's."""

    capabilities: Capabilities | None = None
    privileged: bool = False
    se_linux_options: SELinuxOptions | None = None
    run_as_user: int | None = None
    run_as_group: int | None = None
    run_as_non_root: bool | None = None
    read_only_root_filesystem: bool = False
    allow_privilege_escalation: bool | None = None
    proc_mount: str = "Default"
    seccomp_profile: SeccompProfile | None = None
    app_armor_profile: AppArmorProfile | None = None


class PodSecurityContext(KubeStruct, frozen=True):
    """Of a pod."""

    se_linux_options: SELinuxOptions | None = None
    run_as_user: int | None = None
    run_as_group: int | None = None
    run_as_non_root: bool | None = None
    supplemental_groups: tuple[int, ...] = ()
    supplemental_groups_policy: str = "Merge"
    fs_group: int | None = None
    fs_group_change_policy: str = "Always"
    sysctls: tuple[Sysctl, ...] = ()
    seccomp_profile: SeccompProfile | None = None
    app_armor_profile: AppArmorProfile | None = None
