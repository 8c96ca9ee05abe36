"""Sources of volumes and devices, propagation, labels, AppArmor, bundles, the sandbox's init, runtimes' messages."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import msgspec
import pytest

from cricket.errors import DataLoss, FailedPrecondition, InvalidArgument
from cricket.oci import apparmor, mountinfo, selinux
from cricket.oci.bundle import Bundles
from cricket.oci.host import HostFacts
from cricket.oci.inputs import SelinuxLabels
from cricket.oci.messages import last_message
from cricket.oci.resolve import host_devices, resolve_devices, resolve_mounts
from cricket.oci.runtime_probe import _oci_version
from cricket.oci.sandbox_init import InitInputs, make_rootfs, sandbox_init_spec
from cricket.types.container import Propagation, VolumeMount
from cricket.types.resources import Device
from cricket.types.security import ProfileType, SandboxSecurity, SecurityProfile, SELinux

MOUNTINFO = r"""22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/vda rw
23 22 0:5 / /proc rw - proc proc rw
24 22 0:6 / /mnt/a\040b rw shared:2 master:1 - tmpfs t rw
25 22 0:7 / /mnt/slave rw master:3 - tmpfs t rw
26 25 0:8 / /mnt/slave rw - tmpfs on-top rw
garbage
"""


def test_mountinfo() -> None:
    table = mountinfo.parse(MOUNTINFO)
    assert mountinfo.mount_of("/mnt/a b/c", table).tags == ("shared:2", "master:1")
    assert mountinfo.mount_of("/mnt/a", table).point == "/"
    assert mountinfo.mount_of("/mnt/slave/x", table).tags == ()
    mountinfo.check_propagation("/x", Propagation.BIDIRECTIONAL, table)
    mountinfo.check_propagation("/proc/x", Propagation.PRIVATE, table)
    for wanted in (Propagation.BIDIRECTIONAL, Propagation.HOST_TO_CONTAINER):
        with pytest.raises(FailedPrecondition, match="make-rshared /proc"):
            mountinfo.check_propagation("/proc/x", wanted, table)
    mountinfo.check_propagation("/mnt/slave", Propagation.HOST_TO_CONTAINER, table[:4])
    with pytest.raises(FailedPrecondition, match="shared mount"):
        mountinfo.check_propagation("/mnt/slave", Propagation.BIDIRECTIONAL, table[:4])


def test_sources_of_volumes(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "link").symlink_to("file")
    (tmp_path / "dangling").symlink_to(tmp_path / "new/dir")
    paths = [str(tmp_path / n) for n in ("file", "link", "dangling", "made/below")]
    found = resolve_mounts([VolumeMount(f"/v{i}", p) for i, p in enumerate(paths)])
    assert [m.source for m in found] == [str(tmp_path / n) for n in ("file", "file", "new/dir", "made/below")]
    assert (tmp_path / "new/dir").is_dir()
    assert (tmp_path / "made/below").is_dir()


def test_image_volumes() -> None:
    mount = VolumeMount("/v", image="sha256:1", image_sub_path="a")
    found = resolve_mounts([mount], image_source=lambda m: f"/images/{m.image_sub_path}")
    assert found[0].source == "/images/a"
    with pytest.raises(InvalidArgument, match="exclude"):
        resolve_mounts([VolumeMount("/v", "/x", image="sha256:1")], image_source=lambda m: "/x")


@pytest.mark.parametrize("path", ["", "rel", "/a\0b", "/etc/passwd/below", "/proc/self/none"])
def test_bad_host_paths(path: str) -> None:
    with pytest.raises((InvalidArgument, FailedPrecondition)):
        resolve_mounts([VolumeMount("/v", path)])


def test_devices(tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to("/dev/zero")
    found = resolve_devices([Device("/dev/x", str(link), "r"), Device("", "/dev/null", "")])
    assert [(d.path, d.host_path, d.major, d.minor, d.permissions) for d in found] == [
        ("/dev/x", "/dev/zero", 1, 5, "r"),
        ("/dev/null", "/dev/null", 1, 3, "rwm"),
    ]


def test_a_directory_of_devices() -> None:
    found = {d.path: d for d in resolve_devices([Device("/dev/all", "/dev", "rw")])}
    assert found["/dev/all/null"].host_path == "/dev/null"
    assert "/dev/all/console" not in found
    assert not any(p.startswith(("/dev/all/pts/", "/dev/all/shm/")) for p in found)
    assert {d.path for d in host_devices()} >= {"/dev/null", "/dev/zero"}


@pytest.mark.parametrize(
    "device",
    [
        Device("/dev/x", "/etc/passwd"),
        Device("/dev/x", "/dev/no-such"),
        Device("/dev/x", "/dev/null", "rx"),
        Device("dev/x", "/dev/null"),
        Device("/dev/../x", "/dev/null"),
        Device("/dev/x", ""),
    ],
)
def test_bad_devices(device: Device) -> None:
    with pytest.raises((InvalidArgument, FailedPrecondition)):
        resolve_devices([device])


def test_selinux_labels(tmp_path: Path) -> None:
    contexts = tmp_path / "lxc_contexts"
    contexts.write_text('process = "sys_u:sys_r:box_t:s0"\nfile = "sys_u:obj_r:box_file_t:s0"\n')
    one = selinux.labels(None, "sandbox1", privileged=False, contexts=str(contexts))
    assert one.process.startswith("sys_u:sys_r:box_t:s0:c")
    assert one.mount.startswith("sys_u:obj_r:box_file_t:s0:c")
    assert one == selinux.labels(None, "sandbox1", privileged=False, contexts=str(contexts))
    assert one != selinux.labels(None, "sandbox2", privileged=False, contexts=str(contexts))
    asked = SELinux(user="u", role="r", type="t", level="s0:c1,c2")
    assert selinux.labels(asked, "s", privileged=False, contexts="/none") == SelinuxLabels(
        process="u:r:t:s0:c1,c2", mount="system_u:object_r:container_file_t:s0:c1,c2"
    )
    assert ":spc_t:" in selinux.labels(None, "s", privileged=True, contexts="/none").process
    with pytest.raises(InvalidArgument, match="selinux_options"):
        selinux.labels(SELinux(type="a:b"), "s", privileged=False)


def test_relabelling(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d/f").write_text("")
    (tmp_path / "d/l").symlink_to("/etc/passwd")
    attribute = "trusted.cricket-test" if os.geteuid() == 0 else "user.cricket-test"
    if attribute.startswith("user."):
        (tmp_path / "d/l").unlink()
    selinux.relabel(str(tmp_path), "u:r:t:s0", attribute=attribute)
    assert os.getxattr(tmp_path / "d/f", attribute) == b"u:r:t:s0"
    for path in ("/", "/etc/", "/usr/.", "relative"):
        with pytest.raises(InvalidArgument):
            selinux.relabel(path, "x", attribute=attribute)


def test_apparmor() -> None:
    has, has_not = HostFacts(apparmor=True), HostFacts()
    default, off = SecurityProfile(type=ProfileType.RUNTIME_DEFAULT), SecurityProfile(type=ProfileType.UNCONFINED)
    local = SecurityProfile(type=ProfileType.LOCALHOST, localhost_ref="mine")
    assert apparmor.choose(None, False, has) == "cricket-default"
    assert apparmor.choose(default, False, has, "site") == "site"
    assert apparmor.choose(local, False, has) == "mine"
    assert apparmor.choose(off, False, has) == apparmor.choose(local, True, has) == ""
    assert apparmor.choose(None, False, has_not) == apparmor.choose(off, False, has_not) == ""
    for asked in (default, local):
        with pytest.raises(FailedPrecondition, match="no AppArmor"):
            apparmor.choose(asked, False, has_not)
    with pytest.raises(InvalidArgument):
        apparmor.choose(SecurityProfile(type=ProfileType.LOCALHOST), False, has)


async def test_loaded_apparmor_profiles(tmp_path: Path) -> None:
    profiles = tmp_path / "profiles"
    profiles.write_text("cricket-default (enforce)\nwith space (complain)\n")
    assert apparmor.is_loaded("with space", str(profiles))
    await apparmor.ensure_loaded("cricket-default", str(profiles))
    with pytest.raises(FailedPrecondition, match="not loaded"):
        await apparmor.ensure_loaded("absent", str(profiles))


def test_bundles(tmp_path: Path) -> None:
    bundles = Bundles(str(tmp_path / "bundles"))
    path = bundles.make("c1")
    bundles.make("c1")
    assert os.path.isdir(bundles.rootfs("c1"))
    with pytest.raises(FailedPrecondition, match="no bundle"):
        bundles.read("c1")
    bundles.write("c1", {"a": 1})
    assert bundles.read("c1") == {"a": 1}
    assert os.stat(bundles.config("c1")).st_mode & 0o777 == 0o600
    assert os.stat(path).st_mode & 0o777 == 0o711
    Path(bundles.config("c1")).write_text("{")
    with pytest.raises(DataLoss):
        bundles.read("c1")
    bundles.remove("c1")
    bundles.remove("c1")
    assert not os.path.exists(path)
    for bad in ("", ".", "..", "a/b", "a\0b"):
        with pytest.raises(InvalidArgument):
            bundles.path(bad)


def test_the_sandboxs_init(make_inputs: Any, tmp_path: Path) -> None:
    inputs = make_inputs(sandbox={"security": SandboxSecurity(run_as_user=7, run_as_group=8, supplemental_groups=(9,))})
    make_rootfs(str(tmp_path))
    make_rootfs(str(tmp_path))
    asked = InitInputs(
        sandbox=inputs.sandbox,
        rootfs=str(tmp_path),
        init="/usr/bin/catatonit",
        host=HostFacts(oom_score_adj_min=0),
        handler=inputs.handler,
        namespaces={"net": "/pins/net", "ipc": "/pins/ipc"},
    )
    spec = sandbox_init_spec(asked)
    assert spec["process"]["user"] == {"uid": 7, "gid": 8, "additionalGids": [8, 9]}
    assert spec["process"]["oomScoreAdj"] == 0
    assert [n["type"] for n in spec["linux"]["namespaces"]] == ["mount", "network", "ipc", "pid"]
    assert spec["linux"]["cgroupsPath"] == "/kubepods/podx/s1"
    assert spec["annotations"]["io.kubernetes.cri.container-type"] == "sandbox"
    bad = msgspec.structs.replace(inputs.sandbox.config, security=SandboxSecurity(run_as_group=8))
    sandbox = msgspec.structs.replace(inputs.sandbox, config=bad)
    with pytest.raises(InvalidArgument, match="run_as_group"):
        sandbox_init_spec(msgspec.structs.replace(asked, sandbox=sandbox))


@pytest.mark.parametrize(
    ("output", "message"),
    [
        (b"", ""),
        (b"plain words\n", "plain words"),
        (b'{"msg":"first","level":"error"}\n{"msg":"second","level":"error"}\n', "second"),
        (b'{"msg":"bad","level":"error"}\n{"msg":"note","level":"warning"}\n', "bad"),
        (b'time="x" level=error msg="exec: \\"a\\": not found"\n', 'exec: "a": not found'),
        (b"{broken json\n", "{broken json"),
        (b"\xff\xfe", "\ufffd\ufffd"),
    ],
)
def test_messages_of_runtimes(output: bytes, message: str) -> None:
    assert last_message(output) == message


@pytest.mark.parametrize(
    ("told", "written"),
    [("", "1.0.2"), ("1.0.2-dev", "1.0.2"), ("1.1.0+dev", "1.1.0"), ("2.0.0", "1.2.0"), ("nonsense", "1.0.2")],
)
def test_the_version_to_write(told: str, written: str) -> None:
    assert _oci_version(told) == written
