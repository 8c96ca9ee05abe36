"""Whole specs as values."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from cricket.errors import FailedPrecondition, InvalidArgument, RROUnsupported, Unimplemented
from cricket.oci.host import HostFacts
from cricket.oci.inputs import DeviceNode, HandlerSettings, ResolvedMount, RuntimeFeatures, SelinuxLabels
from cricket.oci.spec import container_spec
from cricket.types.container import Propagation, VolumeMount
from cricket.types.node import CgroupDriver
from cricket.types.resources import Resources
from cricket.types.security import (
    IdMapping,
    NamespaceMode,
    NamespaceOptions,
    ProfileType,
    SecurityProfile,
    UserNamespace,
)

Make = Any
MAPPING = (IdMapping(host_id=65536, container_id=0, length=65536),)
USERNS = UserNamespace(mode=NamespaceMode.POD, uids=MAPPING, gids=MAPPING)


def volume(destination: str, source: str = "/data", **kwargs: Any) -> ResolvedMount:
    return ResolvedMount(VolumeMount(destination, source, **kwargs), source)


def destinations(spec: dict[str, Any]) -> list[str]:
    return [m["destination"] for m in spec["mounts"]]


def mount_at(spec: dict[str, Any], destination: str) -> dict[str, Any]:
    found = [m for m in spec["mounts"] if m["destination"] == destination]
    assert len(found) == 1
    return dict(found[0])


def namespaces(spec: dict[str, Any]) -> dict[str, str]:
    return {n["type"]: n.get("path", "") for n in spec["linux"]["namespaces"]}


def test_an_ordinary_container(make_inputs: Make) -> None:
    spec = container_spec(make_inputs())
    assert msgspec.json.decode(msgspec.json.encode(spec)) == spec
    assert spec["ociVersion"] == "1.0.2"
    assert spec["process"]["args"] == ["sleep", "1"]
    assert "HOSTNAME=podhost" in spec["process"]["env"]
    assert spec["process"]["cwd"] == "/"
    assert spec["root"] == {"path": "/run/b/c1/rootfs", "readonly": False}
    assert spec["linux"]["cgroupsPath"] == "/kubepods/podx/c1"
    assert spec["linux"]["resources"]["devices"] == [{"allow": False, "access": "rwm"}]
    assert "seccomp" not in spec["linux"]
    assert "rlimits" not in spec["process"]
    assert namespaces(spec) == {
        "mount": "", "network": "/pins/net", "ipc": "/pins/ipc", "uts": "/pins/uts", "pid": "", "cgroup": ""
    }  # fmt: skip
    assert spec["annotations"] == {
        "io.kubernetes.cri.container-type": "container",
        "io.kubernetes.cri.container-name": "main",
        "io.kubernetes.cri.image-name": "busybox",
        "io.kubernetes.cri.sandbox-id": "s1",
        "io.kubernetes.cri.sandbox-name": "pod",
        "io.kubernetes.cri.sandbox-namespace": "default",
        "io.kubernetes.cri.sandbox-uid": "uid-1",
    }


def test_pid_namespaces(make_inputs: Make) -> None:
    def spec(mode: NamespaceMode, **paths: str) -> dict[str, str]:
        options = NamespaceOptions(pid=mode, target_id="t")
        return namespaces(container_spec(make_inputs(security={"namespaces": options}, namespaces=paths)))

    assert "pid" not in spec(NamespaceMode.NODE)
    assert spec(NamespaceMode.POD, pid="/proc/7/ns/pid")["pid"] == "/proc/7/ns/pid"
    assert spec(NamespaceMode.TARGET, pid="/proc/8/ns/pid")["pid"] == "/proc/8/ns/pid"
    assert spec(NamespaceMode.CONTAINER, pid="/proc/8/ns/pid")["pid"] == ""
    for mode in (NamespaceMode.POD, NamespaceMode.TARGET):
        with pytest.raises(FailedPrecondition):
            spec(mode)


def test_no_cgroup_namespace_on_v1_and_for_the_privileged(make_inputs: Make) -> None:
    assert "cgroup" not in namespaces(container_spec(make_inputs(host=HostFacts(cgroup_version=1))))
    host = HostFacts(cgroup_version=2, cgroup2_flags=("nsdelegate",))
    spec = container_spec(make_inputs(security={"privileged": True}, host=host))
    assert "cgroup" not in namespaces(spec)
    assert mount_at(spec, "/sys/fs/cgroup")["options"][-2:] == ["rw", "nsdelegate"]


def test_privileged(make_inputs: Make) -> None:
    security = {
        "privileged": True,
        "masked_paths": ("/proc/kcore",),
        "readonly_paths": ("/proc/sys",),
        "seccomp": SecurityProfile(type=ProfileType.RUNTIME_DEFAULT),
        "apparmor": SecurityProfile(type=ProfileType.RUNTIME_DEFAULT),
    }
    node = DeviceNode("/dev/fuse", "/dev/fuse", "c", 10, 229)
    inputs = make_inputs(security=security, host_devices=(node,), host=HostFacts(apparmor=True))
    spec = container_spec(inputs)
    assert spec["linux"]["resources"]["devices"] == [{"allow": True, "access": "rwm"}]
    assert [d["path"] for d in spec["linux"]["devices"]] == ["/dev/fuse"]
    assert spec["linux"]["maskedPaths"] == spec["linux"]["readonlyPaths"] == []
    assert "seccomp" not in spec["linux"]
    assert "apparmorProfile" not in spec["process"]
    assert len(spec["process"]["capabilities"]["bounding"]) == 41
    assert "rw" in mount_at(spec, "/sys")["options"]


def test_privileged_without_host_devices(make_inputs: Make) -> None:
    node = DeviceNode("/dev/fuse", "/dev/fuse", "c", 10, 229)

    def linux(**settings: bool) -> dict[str, Any]:
        handler = HandlerSettings(features=RuntimeFeatures(name="x"), **settings)
        inputs = make_inputs(security={"privileged": True}, host_devices=(node,), handler=handler)
        return dict(container_spec(inputs)["linux"])

    without = linux(privileged_without_host_devices=True)
    assert without["devices"] == []
    assert without["resources"]["devices"] == [{"allow": False, "access": "rwm"}]
    allowed = linux(privileged_without_host_devices=True, privileged_without_host_devices_all_devices_allowed=True)
    assert allowed["resources"]["devices"] == [{"allow": True, "access": "rwm"}]


def test_a_privileged_container_needs_a_privileged_sandbox(make_inputs: Make) -> None:
    from cricket.types.security import SandboxSecurity

    with pytest.raises(InvalidArgument, match="privileged sandbox"):
        container_spec(make_inputs(security={"privileged": True}, sandbox={"security": SandboxSecurity()}))


def test_mounts_are_ordered_and_replace_the_systems(make_inputs: Make) -> None:
    mounts = (volume("/var/lib/a/b"), volume("/etc/hosts"), volume("/sys"), volume("/dev/shm"), volume("/var/lib"))
    spec = container_spec(make_inputs(mounts=mounts))
    found = destinations(spec)
    assert len(found) == len(set(found))
    assert "/sys/fs/cgroup" not in found
    assert found.index("/var/lib") < found.index("/var/lib/a/b")
    assert mount_at(spec, "/etc/hosts")["source"] == "/data"
    assert mount_at(spec, "/dev/shm")["source"] == "/data"
    assert mount_at(spec, "/sys")["type"] == "bind"
    assert found.index("/sys") > found.index("/proc")


def test_a_dev_volume_hides_what_the_system_has_below(make_inputs: Make) -> None:
    found = destinations(container_spec(make_inputs(mounts=(volume("/dev", "/dev"),))))
    assert "/dev/pts" not in found
    assert "/dev/mqueue" not in found
    assert found.index("/dev") < found.index("/dev/shm")


def test_files_follow_the_root_file_system(make_inputs: Make) -> None:
    writable, readonly = (container_spec(make_inputs(security={"readonly_rootfs": r})) for r in (False, True))
    assert "rw" in mount_at(writable, "/etc/hosts")["options"]
    assert "ro" in mount_at(readonly, "/etc/hosts")["options"]
    assert "rw" in mount_at(readonly, "/dev/shm")["options"]


@pytest.mark.parametrize(
    ("propagation", "option", "root"),
    [
        (Propagation.PRIVATE, "rprivate", None),
        (Propagation.HOST_TO_CONTAINER, "rslave", "rslave"),
        (Propagation.BIDIRECTIONAL, "rshared", "rshared"),
    ],
)
def test_propagation(make_inputs: Make, propagation: Propagation, option: str, root: str | None) -> None:
    spec = container_spec(make_inputs(mounts=(volume("/v", propagation=propagation),)))
    assert option in mount_at(spec, "/v")["options"]
    assert spec["linux"].get("rootfsPropagation") == root


def test_read_only_volumes(make_inputs: Make) -> None:
    def options(**kwargs: Any) -> list[str]:
        return list(mount_at(container_spec(make_inputs(mounts=(volume("/v", **kwargs),))), "/v")["options"])

    assert options() == ["rbind", "rprivate", "rw"]
    assert options(readonly=True) == ["rbind", "rprivate", "ro"]
    assert options(readonly=True, recursive_read_only=True) == ["rbind", "rprivate", "rro"]
    assert options(image="sha256:1") == ["rbind", "rprivate", "ro"]
    assert options(options=("noexec", "ro", "nosuid")) == ["rbind", "rprivate", "ro", "noexec", "nosuid"]
    for bad in (
        {"recursive_read_only": True},
        {"readonly": True, "recursive_read_only": True, "propagation": Propagation.HOST_TO_CONTAINER},
        {"options": ("shared",)},
        {"options": ("nosymfollow",)},
        {"options": ("uid=0",)},
    ):
        with pytest.raises(InvalidArgument):
            options(**bad)


def test_what_the_runtime_cannot_do_is_refused(make_inputs: Make) -> None:
    handler = HandlerSettings(features=RuntimeFeatures(name="old"))
    with pytest.raises(RROUnsupported, match="^RROUnsupported: "):
        container_spec(make_inputs(handler=handler, mounts=(volume("/v", readonly=True, recursive_read_only=True),)))
    mapped = volume("/v", uid_mappings=MAPPING, gid_mappings=MAPPING)
    with pytest.raises(Unimplemented, match="id-map"):
        container_spec(make_inputs(handler=handler, mounts=(mapped,)))
    done = msgspec.structs.replace(mapped, idmapped=True)
    assert "uidMappings" not in mount_at(container_spec(make_inputs(handler=handler, mounts=(done,))), "/v")
    assert mount_at(container_spec(make_inputs(mounts=(mapped,))), "/v")["uidMappings"] == [
        {"containerID": 0, "hostID": 65536, "size": 65536}
    ]


@pytest.mark.parametrize("path", ["", "relative", "/a/../b", "/a\0b", "/", "//", "/x" * 3000])
def test_hostile_container_paths(make_inputs: Make, path: str) -> None:
    with pytest.raises(InvalidArgument, match=r"mounts\.container_path"):
        container_spec(make_inputs(mounts=(volume(path),)))


@pytest.mark.parametrize("field", ["masked_paths", "readonly_paths"])
def test_hostile_paths_to_mask(make_inputs: Make, field: str) -> None:
    with pytest.raises(InvalidArgument, match=field):
        container_spec(make_inputs(security={field: ("../x",)}))


def test_a_user_namespace(make_inputs: Make) -> None:
    options = NamespaceOptions(pid=NamespaceMode.CONTAINER, userns=USERNS, network=NamespaceMode.NODE)
    node = DeviceNode("/dev/x", "/dev/null", "c", 1, 3)
    inputs = make_inputs(
        security={"namespaces": options}, namespaces={"user": "/pins/user", "ipc": "/pins/ipc"}, devices=(node,)
    )
    spec = container_spec(inputs)
    assert spec["linux"]["namespaces"][1] == {"type": "user", "path": "/pins/user"}
    assert spec["linux"]["uidMappings"] == [{"containerID": 0, "hostID": 65536, "size": 65536}]
    assert mount_at(spec, "/sys")["type"] == "bind"
    assert "rro" in mount_at(spec, "/sys")["options"]
    assert mount_at(spec, "/dev/x")["source"] == "/dev/null"
    assert spec["linux"]["devices"] == []
    assert spec["linux"]["resources"]["devices"][1]["major"] == 1


def test_a_mapping_without_the_tty_group(make_inputs: Make) -> None:
    small = (IdMapping(host_id=65536, container_id=0, length=5),)
    userns = UserNamespace(mode=NamespaceMode.POD, uids=small, gids=small)
    options = NamespaceOptions(pid=NamespaceMode.CONTAINER, userns=userns)
    spec = container_spec(make_inputs(security={"namespaces": options}, namespaces={"user": "/pins/user"}))
    assert not any(o.startswith("gid=") for o in mount_at(spec, "/dev/pts")["options"])


def test_another_user_namespace_than_the_sandbox(make_inputs: Make) -> None:
    from cricket.types.security import SandboxSecurity

    with pytest.raises(InvalidArgument, match="differs"):
        container_spec(
            make_inputs(
                security={"namespaces": NamespaceOptions(pid=NamespaceMode.CONTAINER, userns=USERNS)},
                sandbox={"security": SandboxSecurity()},
            )
        )


def test_labels_profiles_and_limits(make_inputs: Make) -> None:
    handler = HandlerSettings(
        features=RuntimeFeatures(name="crun"),
        cgroup_driver=CgroupDriver.SYSTEMD,
        pids_limit=100,
        pod_annotations=("io.example.*",),
        container_annotations=("run.oci.x",),
        rlimits={"RLIMIT_NOFILE": (10, 20)},
    )
    inputs = make_inputs(
        config={
            "tty": True,
            "annotations": {"run.oci.x": "1", "run.oci.handler": "evil"},
            "resources": Resources(oom_score_adj=-5),
        },
        sandbox={
            "cgroup_parent": "/kubepods.slice/kubepods-pod1.slice",
            "annotations": {"io.example.a": "b", "other": "c"},
        },
        security={"seccomp": SecurityProfile(type=ProfileType.RUNTIME_DEFAULT), "no_new_privs": True},
        handler=handler,
        host=HostFacts(apparmor=True, oom_score_adj_min=0, swap=True),
        selinux=SelinuxLabels(process="u:r:t:s0", mount="u:r:f:s0"),
        sysctls={"net.ipv4.ip_forward": "1"},
    )
    spec = container_spec(inputs)
    process, linux = spec["process"], spec["linux"]
    assert linux["cgroupsPath"] == "kubepods-pod1.slice:cri-cricket:c1"
    assert linux["resources"]["pids"] == {"limit": 100}
    assert linux["seccomp"]["defaultAction"] == "SCMP_ACT_ERRNO"
    assert linux["mountLabel"] == "u:r:f:s0"
    assert linux["sysctl"] == {"net.ipv4.ip_forward": "1"}
    assert process["selinuxLabel"] == "u:r:t:s0"
    assert process["apparmorProfile"] == "cricket-default"
    assert process["oomScoreAdj"] == 0
    assert process["terminal"]
    assert process["noNewPrivileges"]
    assert "TERM=xterm" in process["env"]
    assert process["rlimits"] == [{"type": "RLIMIT_NOFILE", "soft": 10, "hard": 20}]
    assert spec["annotations"]["io.example.a"] == "b"
    assert spec["annotations"]["run.oci.x"] == "1"
    assert "run.oci.handler" not in spec["annotations"]
    assert "other" not in spec["annotations"]
