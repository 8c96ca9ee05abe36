"""The init of a sandbox whose containers share a PID namespace: catatonit, which waits and reaps, and nothing else.

Its root file system is the empty directory of its bundle, read-only, with the one static binary bound into it.
"""

from __future__ import annotations

import os
import shutil

import msgspec

from cricket.errors import FailedPrecondition, Internal, InvalidArgument, map_errors
from cricket.kernel.files import make_dir
from cricket.oci import seccomp
from cricket.oci.annotations import sandbox_annotations
from cricket.oci.cgroup import cgroups_path
from cricket.oci.check import between
from cricket.oci.host import HostFacts
from cricket.oci.inputs import HandlerSettings, JsonDict, SelinuxLabels
from cricket.oci.namespaces import check_user_namespace, id_mappings
from cricket.oci.resources import oom_score_adj
from cricket.oci.users import MAX_ID
from cricket.types.sandbox import Sandbox
from cricket.types.security import SandboxSecurity

_PLACES = ("/usr/libexec/podman/catatonit", "/usr/libexec/catatonit/catatonit")
_TARGET = "/catatonit"
# What the kubelet gives a pod's infrastructure: almost nothing kills it, and it hardly ever runs.
_OOM_SCORE_ADJ = -998
_CPU_SHARES = 2


class InitInputs(msgspec.Struct, frozen=True):
    """The arguments of `sandbox_init_spec`.

    `init` is catatonit's path, `rootfs` what `make_rootfs` prepared; `namespaces` maps "net", "ipc", "uts", "user" to
    pins (absent: the host's).
    """

    sandbox: Sandbox
    rootfs: str
    init: str
    host: HostFacts
    handler: HandlerSettings
    namespaces: dict[str, str]
    seccomp: JsonDict | None = None
    selinux: SelinuxLabels = SelinuxLabels()


def find_init() -> str:
    """The path of catatonit. Raises FailedPrecondition when it is not installed."""
    found = shutil.which("catatonit") or next((p for p in _PLACES if os.access(p, os.X_OK)), None)
    if found is None:
        raise FailedPrecondition(
            "pods with a shared PID namespace need catatonit, which is not installed", todo="apt install catatonit"
        )
    return os.path.realpath(found)


def make_rootfs(rootfs: str) -> None:
    """Make the places that the spec mounts on, which in a user namespace the runtime could not.

    Idempotent. Raises Internal.
    """
    for name in ("proc", "dev"):
        make_dir(os.path.join(rootfs, name))
    with map_errors(OSError, Internal, "cannot make a file", where=rootfs + _TARGET):
        os.close(os.open(rootfs + _TARGET, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o555))


def sandbox_init_spec(inputs: InitInputs) -> JsonDict:
    """The init's spec: it joins the sandbox's namespaces and makes its PID namespace. Raises InvalidArgument."""
    security = inputs.sandbox.config.security
    process: JsonDict = {
        "args": [_TARGET, "-P"],
        "env": ["PATH=/"],
        "cwd": "/",
        "user": _user(security),
        "capabilities": {},
        "noNewPrivileges": True,
        "oomScoreAdj": oom_score_adj(_OOM_SCORE_ADJ, inputs.host),
    }
    if inputs.selinux.process:
        process["selinuxLabel"] = inputs.selinux.process
    return {
        "ociVersion": inputs.handler.features.oci_version,
        "process": process,
        "root": {"path": inputs.rootfs, "readonly": True},
        "mounts": [
            {"destination": "/proc", "type": "proc", "source": "proc", "options": ["nosuid", "noexec", "nodev"]},
            {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755", "size=64k"]},
            {
                "destination": _TARGET,
                "type": "bind",
                "source": inputs.init,
                "options": ["bind", "ro", "nosuid", "nodev"],
            },
        ],
        "annotations": {
            **sandbox_annotations(inputs.sandbox),
            "io.kubernetes.cri.container-type": "sandbox",
            "io.kubernetes.cri.sandbox-log-directory": inputs.sandbox.config.log_directory,
        },
        "linux": _linux(inputs),
    }


def _linux(inputs: InitInputs) -> JsonDict:
    config, paths = inputs.sandbox.config, inputs.namespaces
    kinds = (("user", "user"), ("net", "network"), ("ipc", "ipc"), ("uts", "uts"))
    joined: list[JsonDict] = [{"type": kind, "path": paths[key]} for key, kind in kinds if paths.get(key)]
    result: JsonDict = {
        "namespaces": [{"type": "mount"}, *joined, {"type": "pid"}],
        "resources": {"devices": [{"allow": False, "access": "rwm"}], "cpu": {"shares": _CPU_SHARES}},
        "cgroupsPath": cgroups_path(config.cgroup_parent, inputs.sandbox.id, inputs.handler.cgroup_driver),
        "maskedPaths": ["/proc/kcore", "/proc/keys", "/proc/timer_list", "/proc/scsi"],
        "readonlyPaths": ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"],
    }
    userns = check_user_namespace(config.security.namespaces.userns)
    if paths.get("user") and userns is not None:
        result["uidMappings"], result["gidMappings"] = id_mappings(userns.uids), id_mappings(userns.gids)
    profile = seccomp.choose(
        config.security.seccomp, config.security.privileged, inputs.seccomp, frozenset(), inputs.host
    )
    if profile:
        result["seccomp"] = profile
    if inputs.selinux.mount:
        result["mountLabel"] = inputs.selinux.mount
    return result


def _user(security: SandboxSecurity) -> JsonDict:
    if security.run_as_group is not None and security.run_as_user is None:
        raise InvalidArgument("run_as_group needs run_as_user", where="security_context")
    uid = between(security.run_as_user or 0, 0, MAX_ID, "run_as_user")
    gid = between(security.run_as_group or 0, 0, MAX_ID, "run_as_group")
    groups = sorted({gid, *(between(g, 0, MAX_ID, "supplemental_groups") for g in security.supplemental_groups)})
    return {"uid": uid, "gid": gid, "additionalGids": groups}
