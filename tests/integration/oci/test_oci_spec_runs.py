"""Whole specs under real runtimes: what the container observes is what the request asked for."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import msgspec
import pytest

from cricket.oci.host import HostFacts
from cricket.oci.inputs import HandlerSettings, ResolvedMount, SandboxFiles
from cricket.oci.resolve import host_devices, resolve_devices, resolve_mounts
from cricket.oci.spec import container_spec
from cricket.oci.users import resolve_user
from cricket.types.container import Propagation, UserIds, VolumeMount
from cricket.types.resources import Device, Hugepage, Resources
from cricket.types.security import (
    Capabilities,
    ContainerSecurity,
    IdMapping,
    NamespaceMode,
    NamespaceOptions,
    ProfileType,
    SecurityProfile,
    UserNamespace,
)

pytestmark = pytest.mark.root
Box = Any


def caps(text: str, kind: str) -> int:
    return int(next(line.split()[1] for line in text.splitlines() if line.startswith(kind)), 16)


async def test_an_ordinary_container(box: Box) -> None:
    script = "id -u; pwd; echo $HOSTNAME; mount; cat /proc/self/status; cat /proc/self/oom_score_adj"
    inputs = box.inputs(script, config={"working_dir": "/tmp", "resources": Resources(oom_score_adj=500)})
    text = await box.output(container_spec(inputs))
    lines = text.splitlines()
    assert lines[0] == "0"
    assert lines[1] == "/tmp"
    assert lines[2] == box.host.hostname
    assert any(line.startswith("sysfs on /sys ") and "(ro," in line for line in lines)
    assert any(" on /dev/shm " in line for line in lines)
    assert any(line.startswith("devpts on /dev/pts ") and "gid=5" in line for line in lines)
    assert caps(text, "CapEff:") == 0x00000000A80425FB & _mask(box.host)
    assert caps(text, "CapInh:") == 0
    assert "NoNewPrivs:\t0" in text
    assert "Seccomp:\t0" in text
    assert lines[-1] == "500"


def _mask(host: HostFacts) -> int:
    from cricket.oci.capability_names import CAPABILITIES

    return sum(1 << bit for bit, name in enumerate(CAPABILITIES) if name in host.capabilities)


async def test_user_groups_and_ambient_capabilities(box: Box) -> None:
    security = ContainerSecurity(
        run_as_user=1000, supplemental_groups=(1234,), capabilities=Capabilities(add_ambient=("NET_BIND_SERVICE",))
    )
    inputs = box.inputs("id -u; id -G; cat /proc/self/status", security=security)
    user = resolve_user(inputs.rootfs, inputs.config.security, "")
    text = await box.output(container_spec(msgspec.structs.replace(inputs, user=user)))
    assert text.splitlines()[:2] == ["1000", "1000 1234 50000"]
    assert caps(text, "CapAmb:") == caps(text, "CapEff:") == 1 << 10


async def test_no_capabilities_no_new_privs_and_the_default_seccomp_profile(box: Box) -> None:
    security = ContainerSecurity(
        capabilities=Capabilities(drop=("ALL",)),
        no_new_privs=True,
        seccomp=SecurityProfile(type=ProfileType.RUNTIME_DEFAULT),
    )
    script = "cat /proc/self/status; unshare -n true && echo unshared; chown 1:1 /tmp && echo chowned; sleep 0 & wait"
    text = await box.output(container_spec(box.inputs(script, security=security)))
    assert caps(text, "CapBnd:") == 0
    assert "NoNewPrivs:\t1" in text
    assert "Seccomp:\t2" in text
    assert "unshared" not in text
    assert "chowned" not in text


async def test_the_default_profile_opens_what_a_capability_needs(box: Box) -> None:
    security = ContainerSecurity(
        capabilities=Capabilities(add=("SYS_ADMIN",)), seccomp=SecurityProfile(type=ProfileType.RUNTIME_DEFAULT)
    )
    text = await box.output(container_spec(box.inputs("unshare -u hostname inner && echo set", security=security)))
    assert "set" in text


async def test_a_localhost_profile_with_conditions(box: Box) -> None:
    profile = {
        "defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [
            {"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38},
            {"names": ["chmod"], "action": "SCMP_ACT_ERRNO", "includes": {"caps": ["CAP_SYS_BOOT"]}},
        ],
    }
    security = ContainerSecurity(seccomp=SecurityProfile(type=ProfileType.LOCALHOST, localhost_ref="/x.json"))
    inputs = box.inputs("mkdir /tmp/x 2>&1; chmod 700 /tmp && echo changed", security=security, seccomp=profile)
    os.symlink("busybox", f"{inputs.rootfs}/bin/chmod")
    text = await box.output(container_spec(inputs))
    assert "not implemented" in text
    assert "changed" in text


async def test_privileged(box: Box) -> None:
    security = ContainerSecurity(privileged=True, seccomp=SecurityProfile(type=ProfileType.RUNTIME_DEFAULT))
    script = "cat /proc/self/status; mount; ls /dev; mkdir -p /tmp/m && mount -t tmpfs x /tmp/m && echo mounted"
    inputs = box.inputs(script, security=security, host_devices=host_devices())
    text = await box.output(container_spec(inputs))
    assert caps(text, "CapEff:") == _mask(box.host)
    assert "Seccomp:\t0" in text
    assert any(line.startswith("sysfs on /sys ") and "(rw," in line for line in text.splitlines())
    assert "mounted" in text
    for node in host_devices():
        if node.path.count("/") == 2:
            assert os.path.basename(node.path) in text.split()


@pytest.mark.parametrize("permissions", ["r", "rwm"])
async def test_devices_and_their_permissions(box: Box, permissions: str) -> None:
    nodes = resolve_devices([Device("/dev/mine", "/dev/kmsg", permissions)])
    script = "ls -l /dev/mine; (: > /dev/mine) 2>&1 && echo opened"
    text = (await box.run(container_spec(box.inputs(script, devices=nodes)))).stdout.decode()
    assert "1,  11" in text
    assert ("opened" in text) == (permissions == "rwm")


async def test_a_device_that_was_not_asked_for_is_refused(box: Box) -> None:
    text = (await box.run(container_spec(box.inputs("mknod /tmp/kmsg c 1 11; (: > /tmp/kmsg) && echo opened")))).stdout
    assert b"opened" not in text


async def test_readonly_root_masked_and_readonly_paths(box: Box) -> None:
    security = ContainerSecurity(readonly_rootfs=True, masked_paths=("/proc/version",), readonly_paths=("/vol",))
    inputs = box.inputs("touch /x 2>&1; touch /vol/x 2>&1; cat /proc/version; echo $?", security=security)
    text = await box.output(container_spec(inputs))
    assert text.splitlines() == ["touch: /x: Read-only file system", "touch: /vol/x: Read-only file system", "0"]


async def test_volumes(box: Box, area: Path) -> None:
    source, link = area / "data", area / "link"
    source.mkdir()
    (source / "file").write_text("hello")
    link.symlink_to(source)
    mounts = resolve_mounts(
        [
            VolumeMount("/vol/a/b", str(area / "made/on/demand")),
            VolumeMount("/vol/a", str(link), readonly=True, options=("noexec",)),
            VolumeMount("/vol", str(area / "outer")),
        ]
    )
    (source / "b").mkdir()
    script = (
        "cat /vol/a/file; touch /vol/a/x 2>&1; touch /vol/a/b/x && echo written; grep ' /vol/a ' /proc/self/mountinfo"
    )
    text = await box.output(container_spec(box.inputs(script, mounts=mounts)))
    assert text.startswith("hellotouch: /vol/a/x: Read-only file system\nwritten\n")
    assert "noexec" in text.splitlines()[-1]
    assert (area / "made/on/demand/x").exists()


async def test_recursive_read_only(box: Box, area: Path) -> None:
    mounts = (ResolvedMount(VolumeMount("/vol", "/sys", readonly=True, recursive_read_only=True), "/sys"),)
    text = await box.output(container_spec(box.inputs("grep ' /vol' /proc/self/mountinfo", mounts=mounts)))
    options = [line.split(" ")[5].split(",") for line in text.splitlines()]
    assert len(options) > 1
    assert all("ro" in o for o in options)


async def test_propagation_reaches_the_mount(box: Box, area: Path) -> None:
    mounts = resolve_mounts([VolumeMount("/vol", str(area), propagation=Propagation.HOST_TO_CONTAINER)])
    text = await box.output(container_spec(box.inputs("grep ' /vol ' /proc/self/mountinfo", mounts=mounts)))
    assert "master:" in text


async def test_limits(box: Box) -> None:
    if box.host.cgroup_version != 1:
        pytest.skip("reads cgroup v1 files")
    resources = Resources(
        cpu_period=50000,
        cpu_quota=25000,
        cpu_shares=512,
        memory_limit=64 << 20,
        cpuset_cpus="0",
        hugepages=(Hugepage("2MB", 4 << 20),),
    )
    handler = HandlerSettings(features=box.features, pids_limit=77)
    inputs = box.inputs("sleep 30", config={"resources": resources}, handler=handler)
    box.bundles.write(inputs.id, container_spec(inputs))
    await _create(box, inputs.id)
    cgroup = f"{box.parent}/{inputs.id}"

    def read(controller: str, name: str) -> str:
        return Path(f"/sys/fs/cgroup/{controller}{cgroup}/{name}").read_text().strip()

    assert read("cpu", "cpu.cfs_quota_us") == "25000"
    assert read("cpu", "cpu.cfs_period_us") == "50000"
    assert read("cpu", "cpu.shares") == "512"
    assert read("cpuset", "cpuset.cpus") == "0"
    assert read("memory", "memory.limit_in_bytes") == str(64 << 20)
    assert read("memory", "memory.memsw.limit_in_bytes") == str(64 << 20)
    assert read("hugetlb", "hugetlb.2MB.limit_in_bytes") == str(4 << 20)
    assert read("pids", "pids.max") == "77"


async def _create(box: Box, container_id: str) -> None:
    from cricket.kernel.process import run

    argv = [box.runtime.binary, *box.runtime.global_args, "create", "--bundle", box.bundles.path(container_id)]
    result = await run([*argv, container_id], timeout=30, drain=0)
    assert result.code == 0, result.error_text


async def test_a_user_namespace(box: Box, area: Path) -> None:
    """With pins made by the kernel room, an id-mapped volume, and devices bound from the host."""
    from cricket.kernel.namespaces import pin_user_namespaces, unpin

    pins = {kind: str(area / kind) for kind in ("user", "net", "ipc", "uts")}
    await pin_user_namespaces(pins, [(0, 200000, 65536)], [(0, 200000, 65536)], hostname="inner")
    try:
        mapping = (IdMapping(host_id=200000, container_id=0, length=65536),)
        userns = UserNamespace(mode=NamespaceMode.POD, uids=mapping, gids=mapping)
        security = ContainerSecurity(
            namespaces=NamespaceOptions(pid=NamespaceMode.CONTAINER, userns=userns),
            seccomp=SecurityProfile(type=ProfileType.RUNTIME_DEFAULT),
        )
        (area / "data").mkdir()
        (area / "data/file").touch()
        volume = VolumeMount("/vol", str(area / "data"), uid_mappings=mapping, gid_mappings=mapping)
        resolved = ResolvedMount(volume, volume.host_path, idmapped=not box.features.idmap_mounts)
        script = (
            "cat /proc/self/uid_map; hostname; id -u; stat -c %u /vol/file; mount; ls -l /dev/renamed; ls /dev/mqueue"
        )
        inputs = box.inputs(
            script,
            security=security,
            namespaces=pins,
            mounts=(resolved,),
            devices=resolve_devices([Device("/dev/renamed", "/dev/null", "rwm")]),
        )
        for path in (inputs.rootfs, *(str(p) for p in Path(inputs.rootfs).rglob("*"))):
            os.lchown(path, 200000, 200000)
        os.chown(area / "shm", 200000, 200000)
        text = await box.output(container_spec(inputs))
    finally:
        unpin(pins.values())
    lines = text.splitlines()
    assert lines[0].split() == ["0", "200000", "65536"]
    assert lines[1:3] == ["inner", "0"]
    assert lines[3] == ("0" if box.features.idmap_mounts else "65534")
    assert "1,   3" in text


async def test_sysctls_of_an_own_namespace(box: Box) -> None:
    inputs = box.inputs("cat /proc/sys/kernel/shmmax", sysctls={"kernel.shmmax": "123456"})
    spec = container_spec(inputs)
    spec["linux"]["namespaces"].append({"type": "ipc"})
    assert (await box.output(spec)).strip() == "123456"


async def test_a_volume_replaces_what_the_system_mounts(box: Box, area: Path) -> None:
    (area / "own").mkdir()
    mounts = resolve_mounts([VolumeMount("/dev/shm", str(area / "own")), VolumeMount("/run", str(area / "run"))])
    text = await box.output(container_spec(box.inputs("touch /dev/shm/x /run/y; mount", mounts=mounts)))
    assert (area / "own/x").exists()
    assert (area / "run/y").exists()
    assert text.count(" on /dev/shm ") == 1


async def test_the_hosts_dev_as_a_volume(box: Box) -> None:
    mounts = resolve_mounts([VolumeMount("/dev", "/dev")])
    inputs = box.inputs("ls /dev/null", mounts=mounts, files=SandboxFiles())
    assert (await box.output(container_spec(inputs))).strip() == "/dev/null"


async def test_rlimits_are_lowered_to_what_the_daemon_has(box: Box) -> None:
    handler = HandlerSettings(features=box.features, rlimits={"RLIMIT_NOFILE": (1024, 1 << 40)})
    text = await box.output(container_spec(box.inputs("ulimit -Sn; ulimit -Hn", handler=handler)))
    assert text.split()[0] == "1024"


async def test_runs_as_the_images_user(box: Box) -> None:
    inputs = box.inputs("id -u; id -g")
    user = resolve_user(inputs.rootfs, inputs.config.security, "web:50000")
    assert user == UserIds(uid=1000, gid=50000, groups=(50000,))
    assert (await box.output(container_spec(msgspec.structs.replace(inputs, user=user)))).split() == ["1000", "50000"]


SYSCALLS = """
import ctypes, errno, socket
libc = ctypes.CDLL(None, use_errno=True)
def call(f, *a):
    ctypes.set_errno(0)
    return errno.errorcode.get(ctypes.get_errno(), "?") if f(*a) < 0 else "ok"
print("inet", call(libc.socket, 2, 1, 0))
print("unix", call(libc.socket, 1, 1, 0))
print("alg", call(libc.socket, 38, 5, 0))
print("vsock", call(libc.socket, 40, 1, 0))
print("family41", call(libc.socket, 60, 1, 0))
print("personality", call(libc.personality, ctypes.c_ulong(0xffffffff)))
print("randomize", call(libc.personality, 0x40000))
print("unshare", call(libc.unshare, 0x10000000))
print("clone3", call(libc.syscall, 435, 0, 0))
print("keyctl", call(libc.syscall, 250, 0, 0))
print("clone-newuser", call(libc.syscall, 56, 0x10000000 | 17, 0, 0, 0, 0))
"""


async def test_what_the_default_profile_really_refuses(box: Box) -> None:
    """Asked by Python of the host, whose directories are volumes."""
    mounts = resolve_mounts([VolumeMount(p, p, readonly=True) for p in ("/usr", "/lib", "/lib64") if os.path.isdir(p)])
    security = ContainerSecurity(seccomp=SecurityProfile(type=ProfileType.RUNTIME_DEFAULT))
    inputs = box.inputs('exec /usr/bin/python3 -ISc "$0"', security=security, mounts=mounts)
    config = msgspec.structs.replace(inputs.config, command=("/usr/bin/python3", "-ISc", SYSCALLS))
    text = await box.output(container_spec(msgspec.structs.replace(inputs, config=config)))
    assert dict(line.split() for line in text.splitlines()) == {
        "inet": "ok",
        "unix": "ok",
        "alg": "EPERM",
        "vsock": "EPERM",
        "family41": "EAFNOSUPPORT",
        "personality": "ok",
        "randomize": "EPERM",
        "unshare": "EPERM",
        "clone3": "ENOSYS",
        "keyctl": "EPERM",
        "clone-newuser": "EPERM",
    }
