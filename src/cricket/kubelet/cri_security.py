"""Security contexts of pod and container as one (kubelet pkg/securitycontext, pkg/kubelet/kuberuntime)."""

from __future__ import annotations

import glob
from typing import Any, TypeVar

from cricket._proto.cri import api_pb2 as pb
from cricket.kubelet.failure import CreateContainerConfigError
from cricket.kubelet.model.container import Container
from cricket.kubelet.model.pod import Pod, PodSpec
from cricket.kubelet.model.security import AppArmorProfile, SeccompProfile, SELinuxOptions
from cricket.kubelet.node import Node

_MASKED = (
    "/proc/asound", "/proc/acpi", "/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/latency_stats",
    "/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug", "/proc/scsi", "/sys/firmware",
    "/sys/devices/virtual/powercap",
)  # fmt: skip
_READ_ONLY = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")
_T = TypeVar("_T")
_PROFILES = pb.SecurityProfile.ProfileType


def namespaces(spec: PodSpec, userns: Any) -> Any:
    """NamespaceOption; `userns` is None or the pod's UserNamespace."""
    pid = pb.NODE if spec.host_pid else pb.POD if spec.share_process_namespace else pb.CONTAINER
    return pb.NamespaceOption(
        network=pb.NODE if spec.host_network else pb.POD,
        ipc=pb.NODE if spec.host_ipc else pb.POD,
        pid=pid,
        userns_options=userns,
    )


def sandbox_security(pod: Pod, userns: Any) -> Any:
    """LinuxSandboxSecurityContext."""
    context = pod.spec.security_context
    return pb.LinuxSandboxSecurityContext(
        namespace_options=namespaces(pod.spec, userns),
        run_as_user=_id(context.run_as_user),
        run_as_group=_id(context.run_as_group),
        supplemental_groups=_groups(pod),
        supplemental_groups_policy=context.supplemental_groups_policy,
        privileged=any(c.security_context.privileged for c in pod.containers()),
        # Nothing of ours runs in a sandbox that would need more.
        seccomp=pb.SecurityProfile(profile_type=pb.SecurityProfile.RuntimeDefault),
        selinux_options=_selinux(context.se_linux_options),
    )


def container_security(pod: Pod, container: Container, node: Node, image: Any, userns: Any, target_id: str) -> Any:
    """LinuxContainerSecurityContext: the container's word before the pod's, before the image's. Raises
    CreateContainerConfigError when runAsNonRoot does not hold."""
    own, of_pod = container.security_context, pod.spec.security_context
    options = namespaces(pod.spec, userns)
    if target_id and options.pid == pb.CONTAINER:
        options.pid, options.target_id = pb.TARGET, target_id
    user = _first(own.run_as_user, of_pod.run_as_user)
    if _first(own.run_as_non_root, of_pod.run_as_non_root):
        _check_non_root(pod, container, user, image)
    unmasked = own.proc_mount == "Unmasked"
    result = pb.LinuxContainerSecurityContext(
        privileged=own.privileged,
        namespace_options=options,
        run_as_user=_id(user),
        run_as_group=_id(_first(own.run_as_group, of_pod.run_as_group)),
        readonly_rootfs=own.read_only_root_filesystem,
        supplemental_groups=_groups(pod),
        supplemental_groups_policy=of_pod.supplemental_groups_policy,
        no_new_privs=own.allow_privilege_escalation is False,
        masked_paths=() if unmasked else masked_paths(),
        readonly_paths=() if unmasked else _READ_ONLY,
        seccomp=_seccomp(own.seccomp_profile or of_pod.seccomp_profile, node),
        selinux_options=_selinux(own.se_linux_options or of_pod.se_linux_options),
    )
    if own.capabilities is not None:
        result.capabilities.add_capabilities.extend(own.capabilities.add)
        result.capabilities.drop_capabilities.extend(own.capabilities.drop)
    if user is None:
        _image_user(result, image)
    _apparmor(result, own.app_armor_profile or of_pod.app_armor_profile)
    return result


def masked_paths() -> list[str]:
    """What of /proc and /sys is hidden: the runtimes' common list, and each CPU's thermal throttle."""
    return [*_MASKED, *sorted(glob.glob("/sys/devices/system/cpu/cpu[0-9]*/thermal_throttle"))]


def _check_non_root(pod: Pod, container: Container, user: int | None, image: Any) -> None:
    who = f'(pod: "{pod.metadata.name}_{pod.metadata.namespace}({pod.metadata.uid})", container: {container.name})'
    if user is not None:
        if user == 0:
            raise CreateContainerConfigError(f"container's runAsUser breaks non-root policy {who}")
        return
    if not image.HasField("uid") and image.username:
        said = f"image has non-numeric user ({image.username}), cannot verify user is non-root"
        raise CreateContainerConfigError(f"container has runAsNonRoot and {said} {who}")
    if image.uid.value == 0:
        raise CreateContainerConfigError(f"container has runAsNonRoot and image will run as root {who}")


def _image_user(result: Any, image: Any) -> None:
    """The kubelet says the image's user itself; an image without one runs as root."""
    if not image.HasField("uid") and image.username:
        result.run_as_username = image.username
    else:
        result.run_as_user.value = image.uid.value


def _groups(pod: Pod) -> list[int]:
    context = pod.spec.security_context
    return [*([] if context.fs_group is None else [context.fs_group]), *context.supplemental_groups]


def _seccomp(profile: SeccompProfile | None, node: Node) -> Any:
    if profile is None:
        kind = "RuntimeDefault" if node.seccomp_default else "Unconfined"
        return pb.SecurityProfile(profile_type=_PROFILES.Value(kind))
    path = f"{node.seccomp_root}/{profile.localhost_profile}" if profile.type == "Localhost" else ""
    return pb.SecurityProfile(profile_type=_PROFILES.Value(profile.type), localhost_ref=path)


def _apparmor(result: Any, profile: AppArmorProfile | None) -> None:
    """Also in the old field, for runtimes from before the new one."""
    if profile is None:
        return
    result.apparmor.profile_type = _PROFILES.Value(profile.type)
    result.apparmor.localhost_ref = profile.localhost_profile
    old = {"RuntimeDefault": "runtime/default", "Unconfined": "unconfined"}
    result.apparmor_profile = old.get(profile.type) or f"localhost/{profile.localhost_profile}"


def _selinux(options: SELinuxOptions | None) -> Any:
    if options is None:
        return None
    return pb.SELinuxOption(user=options.user, role=options.role, type=options.type, level=options.level)


def _id(value: int | None) -> Any:
    return None if value is None else pb.Int64Value(value=value)


def _first(own: _T | None, of_pod: _T | None) -> _T | None:
    return of_pod if own is None else own
