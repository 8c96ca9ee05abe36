"""Finding out what a runtime can do on this host by letting it create a container and looking at what came out.

Runtimes ignore what they do not know (crun and runc pass unknown mount options to the kernel, which drops them for bind
mounts; old ones skip mappings), so only the effect counts. Nothing of the probe is ever started.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile

import msgspec

from cricket.errors import CricketError, FailedPrecondition, Internal, map_errors
from cricket.kernel.files import make_dir, remove_tree
from cricket.kernel.process import run
from cricket.oci.check import within
from cricket.oci.inputs import JsonDict, RuntimeFeatures
from cricket.oci.messages import last_message
from cricket.oci.runtime import Runtime

_TIMEOUT = 30.0
_PREFIX = "probe-"
# The newest version that we write; runtimes without a `features` verb are old and get 1.0.2, which all of them take.
_NEWEST, _SAFE = (1, 2, 0), "1.0.2"
_MAPPED_ID = 1 << 20
HYBRID = "/sys/fs/cgroup/unified/cgroup.controllers"


class Probe(msgspec.Struct, frozen=True):
    """Whether the host can run the runtime, why not (`reason`, for people), and its features."""

    features: RuntimeFeatures
    usable: bool
    reason: str = ""


class _Trial(msgspec.Struct):
    """What one created container showed."""

    recursive_read_only: bool = False
    idmap_mounts: bool = False


async def probe(runtime: Runtime, scratch: str, volumes: str = "") -> Probe:
    """Try the runtime; takes a few hundredths of a second and leaves nothing behind. Never raises a CricketError.

    `scratch` is where bundles live (search permission for others decides whether user namespaces work), `volumes` a
    directory on the file system whose mounts are to be id-mapped, by default `scratch`.
    """
    try:
        features = await declared_features(runtime)
    except CricketError as e:
        return Probe(RuntimeFeatures(name=runtime.name), usable=False, reason=str(e))
    make_dir(scratch, 0o711)
    make_dir(volumes or scratch)
    try:
        await _trial(runtime, scratch, features.oci_version)
    except CricketError as e:
        return Probe(features, usable=False, reason=f"{e}{_hybrid_advice()}")
    mounts, userns = await asyncio.gather(
        _trial(runtime, scratch, features.oci_version, volume=volumes or scratch),
        _trial(runtime, scratch, features.oci_version, userns=True),
        return_exceptions=True,
    )
    for outcome in (mounts, userns):
        if isinstance(outcome, BaseException) and not isinstance(outcome, CricketError):
            raise outcome
    seen = mounts if isinstance(mounts, _Trial) else _Trial()
    return Probe(
        msgspec.structs.replace(
            features,
            recursive_read_only=seen.recursive_read_only,
            idmap_mounts=seen.idmap_mounts,
            user_namespaces=isinstance(userns, _Trial),
        ),
        usable=True,
    )


async def sweep(runtime: Runtime, *places: str) -> None:
    """Remove what a probe has left that died with its daemon. Idempotent; raises CricketErrors."""
    for name in _left(runtime.root):
        await runtime.delete(name, force=True)
    for place in places:
        for name in _left(place):
            remove_tree(os.path.join(place, name))


def _left(directory: str) -> list[str]:
    try:
        return [name for name in os.listdir(directory) if name.startswith(_PREFIX)]
    except OSError:
        return []


async def declared_features(runtime: Runtime) -> RuntimeFeatures:
    """What the runtime says of itself, by `--version` and `features` (where it has that). Raises CricketErrors."""
    version, features = await asyncio.gather(
        run([runtime.binary, "--version"], timeout=_TIMEOUT), run([runtime.binary, "features"], timeout=_TIMEOUT)
    )
    if version.code:
        raise FailedPrecondition(f"{runtime.path} --version failed: {version.error_text}", where=runtime.binary)
    lines = version.stdout.decode("utf-8", "replace").splitlines()
    built_with = {word for line in lines for word in line.split() if word.startswith("+")}
    told: JsonDict = {}
    if features.code == 0:
        try:
            told = msgspec.json.decode(features.stdout, type=JsonDict)
        except msgspec.MsgspecError:
            told = {}
    annotations = told.get("annotations") or {}
    criu = "+CRIU" in built_with or annotations.get("org.opencontainers.runc.checkpoint.enabled") == "true"
    return RuntimeFeatures(
        name=runtime.name,
        version=lines[0].rsplit(" ", 1)[-1] if lines else "",
        oci_version=_oci_version(str(told.get("ociVersionMax", ""))),
        checkpoint=criu and shutil.which("criu") is not None,
        seccomp="+SECCOMP" in built_with or bool(((told.get("linux") or {}).get("seccomp") or {}).get("enabled")),
        mount_options=frozenset(told.get("mountOptions") or ()),
    )


def _oci_version(newest: str) -> str:
    """The version to write for a runtime that accepts up to `newest` ("1.0.2-dev"; "" when it does not say)."""
    numbers = newest.split("-")[0].split("+")[0].split(".")
    if len(numbers) != 3 or not all(n.isdigit() for n in numbers):
        return _SAFE
    return ".".join(str(n) for n in min(tuple(int(n) for n in numbers), _NEWEST))


async def _trial(runtime: Runtime, scratch: str, oci_version: str, *, volume: str = "", userns: bool = False) -> _Trial:
    """Create and delete one container; with `volume` look at its mounts. Raises Internal with the runtime's words."""
    bundle = tempfile.mkdtemp(prefix=_PREFIX, dir=scratch)
    source = tempfile.mkdtemp(prefix=_PREFIX, dir=volume) if volume else ""
    container_id = os.path.basename(bundle)
    try:
        _write_bundle(bundle, _spec(container_id, oci_version, runtime, source, userns))
        pid_file = os.path.join(bundle, "pid")
        # The container's init inherits stderr and would keep a pipe open, hence a log file.
        log = os.path.join(bundle, "log")
        words = ["create", f"--bundle={bundle}", f"--pid-file={pid_file}", container_id]
        argv = [runtime.binary, *runtime.global_args, f"--log={log}", "--log-format=json", *words]
        result = await run(argv, timeout=_TIMEOUT, drain=0, survivors=True)
        if result.code:
            text = last_message(_read(log)) or last_message(result.stderr) or f"exit code {result.code}"
            raise Internal(f"{runtime.path} cannot create a container here: {text}")
        pid = _read(pid_file)
        if not pid.isdigit():
            raise Internal(f"{runtime.path} create made no container")
        with map_errors(OSError, Internal, f"{runtime.path}'s container vanished"):
            return _look(int(pid), source) if volume else _Trial()
    finally:
        try:
            await runtime.delete(container_id, force=True)
        finally:
            for directory in filter(None, (bundle, source)):
                remove_tree(directory)


def _look(pid: int, source: str) -> _Trial:
    """What the mounts of the created container's init really are."""
    text = _read(f"/proc/{pid}/mountinfo").decode("utf-8", "replace")
    options = {line.split(" ")[4]: line.split(" ")[5].split(",") for line in text.splitlines()}
    below = [o for point, o in options.items() if within(point, "/rro")]
    # The first is /sys itself, which plain "ro" makes read-only as well; those below tell the difference.
    status = os.stat(f"/proc/{pid}/root/mapped")
    return _Trial(
        recursive_read_only=len(below) > 1 and all("ro" in o for o in below),
        idmap_mounts=status.st_uid == os.stat(source).st_uid + _MAPPED_ID,
    )


def _write_bundle(bundle: str, spec: JsonDict) -> None:
    os.chmod(bundle, 0o711)
    rootfs = os.path.join(bundle, "rootfs")
    for name in ("proc", "dev", "rro", "mapped"):
        make_dir(os.path.join(rootfs, name))
    # crun wants the program to exist at create; it is never started.
    os.close(os.open(os.path.join(rootfs, "probe"), os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o755))
    with open(os.path.join(bundle, "config.json"), "wb") as f:
        f.write(msgspec.json.encode(spec))


def _spec(container_id: str, oci_version: str, runtime: Runtime, source: str, userns: bool) -> JsonDict:
    mapping = [{"containerID": 0, "hostID": _MAPPED_ID, "size": 1 << 16}]
    mounts: list[JsonDict] = [
        {"destination": "/proc", "type": "proc", "source": "proc"},
        {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755"]},
    ]
    linux: JsonDict = {
        "namespaces": [{"type": kind} for kind in ("mount", "pid", "ipc", "uts")],
        "cgroupsPath": f"system.slice:cricket:{container_id}" if runtime.systemd_cgroup else f"/cricket-{container_id}",
        "resources": {"devices": [{"allow": False, "access": "rwm"}]},
    }
    if source:
        mounts += [
            {"destination": "/rro", "type": "bind", "source": "/sys", "options": ["rbind", "rprivate", "rro"]},
            {
                "destination": "/mapped",
                "type": "bind",
                "source": source,
                "options": ["bind", "rprivate"],
                "uidMappings": mapping,
                "gidMappings": mapping,
            },
        ]
    if userns:
        linux["namespaces"].append({"type": "user"})
        linux["uidMappings"] = linux["gidMappings"] = mapping
    return {
        "ociVersion": oci_version,
        "process": {
            "args": ["/probe"],
            "cwd": "/",
            "env": ["PATH=/"],
            "user": {"uid": 0, "gid": 0},
            "capabilities": {},
        },
        "root": {"path": "rootfs", "readonly": not userns},
        "mounts": mounts,
        "linux": linux,
    }


def _hybrid_advice() -> str:
    """crun refuses hosts where cgroup v1 and v2 both have controllers; say which ones to move."""
    controllers = _read(HYBRID).decode().split()
    if not controllers:
        return ""
    commands = "; ".join(
        f"mkdir -p /sys/fs/cgroup/{c} && mount -t cgroup -o {c} cgroup /sys/fs/cgroup/{c}" for c in controllers
    )
    return f". This host has cgroup v1 with {', '.join(controllers)} left in v2; to move them: {commands}"


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as f:
            return f.read(1 << 20)
    except OSError:
        return b""
