"""Conversions where the meaning is more than the field's name."""

from __future__ import annotations

import signal
from typing import Any

import pytest

from cricket._proto.cri import api_pb2 as pb
from cricket.cri.convert_container import (
    container_config_from,
    container_config_to,
    container_item,
    container_status,
    mount_from,
    mount_to,
)
from cricket.cri.convert_image import image_item
from cricket.cri.convert_node import node_status
from cricket.cri.convert_resources import device_from
from cricket.cri.convert_sandbox import sandbox_config_from, sandbox_status
from cricket.cri.convert_security import container_security_from, namespaces_from, sandbox_security_from
from cricket.cri.convert_signal import signal_name, signal_value, signal_value_of_number
from cricket.errors import InvalidArgument
from cricket.types.container import Container, ContainerConfig, ContainerMetadata, ContainerState, VolumeMount
from cricket.types.image import Image, ImageConfig
from cricket.types.node import HandlerInfo, NodeStatus
from cricket.types.sandbox import Sandbox, SandboxConfig, SandboxMetadata, SandboxState
from cricket.types.security import NamespaceMode, ProfileType, SecurityProfile

CONTAINER = pb.ContainerConfig(metadata=pb.ContainerMetadata(name="c"), image=pb.ImageSpec(image="i"))
SECURITY = pb.LinuxContainerSecurityContext


@pytest.mark.parametrize(
    ("words", "profile"),
    [
        ("", None),
        ("runtime/default", SecurityProfile(ProfileType.RUNTIME_DEFAULT)),
        ("docker/default", SecurityProfile(ProfileType.RUNTIME_DEFAULT)),
        ("unconfined", SecurityProfile(ProfileType.UNCONFINED)),
        ("localhost//etc/p.json", SecurityProfile(ProfileType.LOCALHOST, "/etc/p.json")),
    ],
)
def test_deprecated_profiles_are_folded(words: str, profile: SecurityProfile | None) -> None:
    assert container_security_from(SECURITY(seccomp_profile_path=words), "s").seccomp == profile
    assert container_security_from(SECURITY(apparmor_profile=words), "s").apparmor == profile
    sandbox = pb.LinuxSandboxSecurityContext(seccomp_profile_path=words)
    assert sandbox_security_from(sandbox, "s").seccomp == profile


def test_a_profile_message_wins_over_the_deprecated_word() -> None:
    message = SECURITY(seccomp=pb.SecurityProfile(), seccomp_profile_path="unconfined")
    assert container_security_from(message, "s").seccomp == SecurityProfile(ProfileType.RUNTIME_DEFAULT)


def test_an_absent_profile_is_not_a_default_one() -> None:
    security = container_security_from(SECURITY(), "s")
    assert security.seccomp is None and security.apparmor is None and security.selinux is None
    assert security.run_as_user is None
    zero = container_security_from(SECURITY(run_as_user=pb.Int64Value(), selinux_options=pb.SELinuxOption()), "s")
    assert zero.run_as_user == 0 and zero.selinux is not None


@pytest.mark.parametrize(
    ("message", "field"),
    [
        (SECURITY(seccomp_profile_path="sideways"), "s.seccomp"),
        (SECURITY(seccomp_profile_path="localhost/"), "s.seccomp"),
        (SECURITY(seccomp=pb.SecurityProfile(profile_type=pb.SecurityProfile.Localhost)), "s.seccomp.localhost_ref"),
        (SECURITY(seccomp=pb.SecurityProfile(profile_type=9)), "s.seccomp.profile_type"),  # type: ignore[arg-type]
        (SECURITY(run_as_group=pb.Int64Value(value=1)), "s.run_as_group"),
        (SECURITY(namespace_options=pb.NamespaceOption(pid=7)), "s.namespace_options.pid"),  # type: ignore[arg-type]
        (SECURITY(supplemental_groups_policy=5), "s.supplemental_groups_policy"),  # type: ignore[arg-type]
    ],
)
def test_wrong_security_is_named(message: Any, field: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        container_security_from(message, "s")
    assert caught.value.where == field


def test_a_group_needs_a_user_of_either_kind() -> None:
    group = pb.Int64Value(value=5)
    assert container_security_from(SECURITY(run_as_group=group, run_as_username="me"), "s").run_as_group == 5
    user = pb.Int64Value()
    assert container_security_from(SECURITY(run_as_group=group, run_as_user=user), "s").run_as_group == 5
    with pytest.raises(InvalidArgument):
        sandbox_security_from(pb.LinuxSandboxSecurityContext(run_as_group=group), "s")


def test_no_user_namespace_is_not_an_empty_one() -> None:
    assert namespaces_from(pb.NamespaceOption(), "n").userns is None
    userns = namespaces_from(pb.NamespaceOption(userns_options=pb.UserNamespace()), "n").userns
    assert userns is not None and userns.mode is NamespaceMode.POD and userns.uids == ()


def test_environment_values_are_bytes() -> None:
    config = pb.ContainerConfig()
    config.CopyFrom(CONTAINER)
    config.envs.add(key="RAW", value=b"\xff\xfe")
    config.envs.add(key="TEXT", value="käse=1".encode())
    types = container_config_from(config)
    assert types.env == (("RAW", "\udcff\udcfe"), ("TEXT", "käse=1"))
    assert [e.value for e in container_config_to(types).envs] == [b"\xff\xfe", "käse=1".encode()]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"envs": [pb.KeyValue(value=b"x")]}, "config.envs.key"),
        ({"envs": [pb.KeyValue(key="a=b")]}, "config.envs.key"),
        ({"envs": [pb.KeyValue(key="a", value=b"x\0y")]}, "config.envs.value"),
        ({"args": ["a\0b"]}, "config.args"),
        ({"mounts": [pb.Mount(host_path="/a")]}, "config.mounts.container_path"),
        ({"mounts": [pb.Mount(container_path="/a")]}, "config.mounts[/a].host_path"),
        (
            {"mounts": [pb.Mount(container_path="/a", host_path="/b", image=pb.ImageSpec(image="i"))]},
            "config.mounts[/a]",
        ),
        ({"mounts": [pb.Mount(container_path="/a", host_path="/b", propagation=9)]}, "config.mounts.propagation"),
        ({"devices": [pb.Device(container_path="/dev/x")]}, "config.devices.host_path"),
        ({"devices": [pb.Device(host_path="/dev/x", permissions="rx")]}, "config.devices.permissions"),
        ({"CDI_devices": [pb.CDIDevice()]}, "config.CDI_devices.name"),
        ({"stop_signal": 999}, "config.stop_signal"),
        (
            {"linux": pb.LinuxContainerConfig(resources=pb.LinuxContainerResources(cpu_shares=-1))},
            "config.linux.resources.cpu_shares",
        ),
    ],
)
def test_wrong_container_configs_are_named(changes: dict[str, Any], field: str) -> None:
    config = pb.ContainerConfig(**changes)
    config.MergeFrom(CONTAINER)
    with pytest.raises(InvalidArgument) as caught:
        container_config_from(config)
    assert caught.value.where == field


def test_wrong_sandbox_protocol_is_named() -> None:
    metadata = pb.PodSandboxMetadata(name="n", uid="u", namespace="s")
    port = pb.PortMapping(protocol=9)  # type: ignore[arg-type]  # an unknown number, as a newer client may send
    with pytest.raises(InvalidArgument) as caught:
        sandbox_config_from(pb.PodSandboxConfig(metadata=metadata, port_mappings=[port]))
    assert caught.value.where == "config.port_mappings.protocol"


def test_every_cri_signal_has_a_name_and_comes_back() -> None:
    for value in pb.Signal.values():
        assert signal_value(signal_name(value, "f")) == value
    assert signal_name(pb.SIGNAL_SIGRTMINPLUS3, "f") == "SIGRTMIN+3"
    assert signal_name(pb.SIGNAL_SIGRTMAXMINUS14, "f") == "SIGRTMAX-14"
    assert signal_value("") == signal_value("nonsense") == pb.SIGNAL_RUNTIME_DEFAULT


def test_signal_numbers_become_cri_signals() -> None:
    assert signal_value_of_number(signal.SIGTERM) == pb.SIGNAL_SIGTERM
    assert signal_value_of_number(34) == pb.SIGNAL_SIGRTMIN
    assert signal_value_of_number(37) == pb.SIGNAL_SIGRTMINPLUS3
    assert signal_value_of_number(50) == pb.SIGNAL_SIGRTMAXMINUS14
    assert signal_value_of_number(64) == pb.SIGNAL_SIGRTMAX
    assert signal_value_of_number(0) == signal_value_of_number(999) == pb.SIGNAL_RUNTIME_DEFAULT
    known = [n for n in range(1, 65) if signal_value_of_number(n) != pb.SIGNAL_RUNTIME_DEFAULT]
    assert set(range(1, 65)) - set(known) == {32, 33}


def test_devices_have_defaults() -> None:
    device = device_from(pb.Device(host_path="/dev/kvm"), "d")
    assert (device.container_path, device.permissions) == ("/dev/kvm", "rwm")


def test_an_image_volume_shows_the_image_twice() -> None:
    message = mount_to(VolumeMount("/models", image="sha256:abc", image_sub_path="sub"))
    assert message.image.image == message.image.image_ref == "sha256:abc"
    assert mount_from(message, "m") == VolumeMount("/models", image="sha256:abc", image_sub_path="sub")


@pytest.mark.parametrize(
    ("asked", "user", "shown"),
    [
        ("busybox:1", "busybox:1", "busybox:1"),
        ("sha256:abc", "busybox:1", "busybox:1"),
        ("sha256:abc", "", "sha256:abc"),
        ("", "", "sha256:abc"),
    ],
)
def test_the_image_is_shown_as_people_know_it(asked: str, user: str, shown: str) -> None:
    config = ContainerConfig(ContainerMetadata("c"), image=asked, user_image=user)
    container = Container("id", "box", config, ContainerState.RUNNING, 1, image_id="sha256:abc")
    for message in (container_item(container), container_status(container)):
        assert message.image.image == shown and message.image_ref == "sha256:abc" == message.image_id


@pytest.mark.parametrize("state", list(ContainerState))
def test_every_state_is_shown_and_never_as_unknown(state: ContainerState) -> None:
    container = Container("id", "box", ContainerConfig(ContainerMetadata("c")), state, 1)
    assert container_item(container).state != pb.CONTAINER_UNKNOWN
    box = Sandbox("id", SandboxConfig(SandboxMetadata("n", "u", "s")), "", SandboxState.STOPPING, 1, "boot")
    assert sandbox_status(box).state == pb.SANDBOX_NOTREADY and not sandbox_status(box).network.ip


@pytest.mark.parametrize(
    ("user", "uid", "username"),
    [
        ("", None, ""),
        ("0", 0, ""),
        ("1000:2000", 1000, ""),
        ("www", None, "www"),
        ("www:1", None, "www"),
        ("٣", None, "٣"),
    ],
)
def test_uid_and_username_exclude_each_other(user: str, uid: int | None, username: str) -> None:
    message = image_item(Image("sha256:a", config=ImageConfig(user=user)))
    assert (message.uid.value if message.HasField("uid") else None, message.username) == (uid, username)


def test_the_default_handler_is_always_there() -> None:
    status = NodeStatus((), (HandlerInfo("crun", user_namespaces=True), HandlerInfo("runc")), info={"a": "{}"})
    message = node_status(status, False)
    assert [h.name for h in message.runtime_handlers] == ["", "crun", "runc"]
    assert message.runtime_handlers[0].features.user_namespaces and not message.info
