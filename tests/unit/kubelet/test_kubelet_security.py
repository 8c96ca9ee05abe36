"""Security contexts, merged."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from kubelet_pods import NODE, pod
from msgspec.structs import replace

from cricket._proto.cri import api_pb2 as pb
from cricket.kubelet.cri_config import sandbox_config
from cricket.kubelet.cri_security import container_security, masked_paths, sandbox_security
from cricket.kubelet.failure import CreateContainerConfigError, FailedCreatePodSandBox
from cricket.kubelet.model.pod import Pod

ROOT = pb.Image(id="i")


def security(made: Pod, image: Any = ROOT, target: str = "", node: Any = NODE) -> Any:
    return container_security(made, made.spec.containers[0], node, image, None, target)


def test_nothing_said() -> None:
    found = security(pod())
    assert found.run_as_user.value == 0
    assert not found.HasField("run_as_group") and not found.HasField("capabilities")
    assert found.seccomp.profile_type == pb.SecurityProfile.Unconfined
    assert not found.HasField("apparmor")
    assert list(found.masked_paths) == masked_paths()
    assert "/proc/sys" in found.readonly_paths
    assert found.namespace_options.pid == pb.CONTAINER
    assert not found.no_new_privs


def test_the_container_wins() -> None:
    made = pod(
        spec="""
            securityContext: {runAsUser: 1, runAsGroup: 2, fsGroup: 3, supplementalGroups: [4], runAsNonRoot: true,
              seccompProfile: {type: RuntimeDefault}, appArmorProfile: {type: Localhost, localhostProfile: p},
              seLinuxOptions: {level: s0}, supplementalGroupsPolicy: Strict}
        """,
        container="""
            securityContext: {runAsUser: 5, readOnlyRootFilesystem: true, allowPrivilegeEscalation: false,
              capabilities: {add: [NET_ADMIN], drop: [ALL]},
              seccompProfile: {type: Localhost, localhostProfile: a/b.json}, seLinuxOptions: {type: t}}
        """,
    )
    found = security(made)
    assert (found.run_as_user.value, found.run_as_group.value) == (5, 2)
    assert list(found.supplemental_groups) == [3, 4]
    assert found.supplemental_groups_policy == pb.Strict
    assert found.readonly_rootfs and found.no_new_privs
    assert list(found.capabilities.add_capabilities) == ["NET_ADMIN"]
    assert list(found.capabilities.drop_capabilities) == ["ALL"]
    assert found.seccomp.localhost_ref == f"{NODE.seccomp_root}/a/b.json"
    assert (found.apparmor.localhost_ref, found.apparmor_profile) == ("p", "localhost/p")
    assert (found.selinux_options.type, found.selinux_options.level) == ("t", "")


def test_image_users() -> None:
    assert security(pod(), pb.Image(username="nginx")).run_as_username == "nginx"
    assert security(pod(), pb.Image(uid=pb.Int64Value(value=7))).run_as_user.value == 7


@pytest.mark.parametrize(
    ("context", "image", "words"),
    [("runAsNonRoot: true", pb.Image(), "image will run as root"),
     ("runAsNonRoot: true", pb.Image(uid=pb.Int64Value(value=0)), "image will run as root"),
     ("runAsNonRoot: true", pb.Image(username="web"), "non-numeric user (web)"),
     ("runAsNonRoot: true, runAsUser: 0", pb.Image(), "runAsUser breaks non-root policy")],
)  # fmt: skip
def test_non_root(context: str, image: Any, words: str) -> None:
    made = pod(container=f"securityContext: {{{context}}}", metadata="uid: u")
    with pytest.raises(CreateContainerConfigError) as error:
        security(made, image)
    assert words in str(error.value)
    assert str(error.value).endswith('(pod: "web_default(u)", container: main)')


def test_non_root_holds() -> None:
    security(pod(container="securityContext: {runAsNonRoot: true}"), pb.Image(uid=pb.Int64Value(value=7)))
    security(pod(container="securityContext: {runAsNonRoot: true, runAsUser: 1}"))
    # The container may take it back.
    security(pod(spec="securityContext: {runAsNonRoot: true}", container="securityContext: {runAsNonRoot: false}"))


def test_namespaces() -> None:
    shared = security(pod(spec="shareProcessNamespace: true")).namespace_options
    assert shared.pid == pb.POD
    host = security(pod(spec="hostPID: true\nhostIPC: true\nhostNetwork: true")).namespace_options
    assert (host.pid, host.ipc, host.network) == (pb.NODE, pb.NODE, pb.NODE)
    target = security(pod(), target="abc").namespace_options
    assert (target.pid, target.target_id) == (pb.TARGET, "abc")


def test_unmasked_proc() -> None:
    found = security(pod(spec="hostUsers: false", container="securityContext: {procMount: Unmasked}"))
    assert not found.masked_paths and not found.readonly_paths


def test_seccomp_default() -> None:
    found = security(pod(), node=replace(NODE, seccomp_default=True))
    assert found.seccomp.profile_type == pb.SecurityProfile.RuntimeDefault


def test_sandbox() -> None:
    made = pod(spec="securityContext: {runAsUser: 1, fsGroup: 2}", container="securityContext: {privileged: true}")
    found = sandbox_security(made, None)
    assert found.privileged and found.run_as_user.value == 1
    assert list(found.supplemental_groups) == [2]
    assert found.seccomp.profile_type == pb.SecurityProfile.RuntimeDefault
    assert not found.namespace_options.HasField("userns_options")


async def test_a_runtime_without_policies_for_groups_gets_no_strict_pod(tmp_path: Path) -> None:
    strict = pod(spec="securityContext: {supplementalGroupsPolicy: Strict}")
    node = replace(NODE, root=str(tmp_path / "root"), log_root=str(tmp_path / "logs"))
    with pytest.raises(FailedCreatePodSandBox, match="SupplementalGroupsPolicy=Strict is not supported"):
        await sandbox_config(strict, node)
    config = await sandbox_config(strict, replace(node, groups_policy=True))
    assert config.linux.security_context.supplemental_groups_policy == pb.Strict
