"""A busybox root file system, a pair of runtimes, and a way to run a spec and see what the container saw."""

from __future__ import annotations

import asyncio
import os
import shutil
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from cricket.kernel import mounts
from cricket.kernel.process import Result, run
from cricket.oci.bundle import Bundles
from cricket.oci.host import HostFacts
from cricket.oci.inputs import HandlerSettings, JsonDict, RuntimeFeatures, SandboxFiles, SpecInputs
from cricket.oci.runtime import Runtime
from cricket.oci.runtime_probe import Probe, probe
from cricket.types.container import ContainerConfig, ContainerMetadata, UserIds
from cricket.types.image import ImageConfig
from cricket.types.sandbox import Sandbox, SandboxConfig, SandboxMetadata, SandboxState
from cricket.types.security import ContainerSecurity, NamespaceMode, NamespaceOptions, SandboxSecurity

APPLETS = ("sh", "cat", "ls", "id", "mount", "umount", "grep", "sleep", "true", "mkdir", "touch", "hostname", "stat",
           "chown", "unshare", "ulimit", "mknod", "dd", "env", "pwd", "readlink", "ping", "setsid")  # fmt: skip


def make_busybox(root: Path) -> None:
    (root / "bin").mkdir(parents=True)
    shutil.copy("/bin/busybox", root / "bin/busybox")
    for applet in APPLETS:
        os.symlink("busybox", root / "bin" / applet)
    for name in ("proc", "sys", "dev", "etc", "tmp", "vol"):
        (root / name).mkdir()
    (root / "etc/passwd").write_text("root:x:0:0:root:/:/bin/sh\nweb:x:1000:1000::/:/bin/sh\n")
    (root / "etc/group").write_text("root:x:0:\nweb:x:1000:\nextra:x:50000:web\n")


@pytest.fixture
def area() -> Iterator[Path]:
    """A directory that everybody may search, unlike tmp_path, and from which programs may run, unlike some /run."""
    path = Path("/var/tmp") / f"cricket-test-{uuid.uuid4().hex[:8]}"
    path.mkdir(mode=0o755)
    yield path
    shutil.rmtree(path)


@pytest.fixture(params=["crun", "runc"])
async def runtime(request: pytest.FixtureRequest, area: Path) -> Runtime:
    if shutil.which(request.param) is None:
        pytest.skip(f"{request.param} is not installed")
    return Runtime(request.param, request.param, str(area / "state"))


@pytest.fixture
async def probed(runtime: Runtime, area: Path) -> Probe:
    found = await probe(runtime, str(area / "bundles"))
    if not found.usable:
        pytest.skip(found.reason)
    return found


class Box:
    """One sandbox on paper, with containers that really run."""

    def __init__(self, runtime: Runtime, features: RuntimeFeatures, area: Path) -> None:
        self.runtime, self.features, self.area = runtime, features, area
        self.bundles = Bundles(str(area / "bundles"))
        self.host = HostFacts.gather()
        self.id = f"t{uuid.uuid4().hex[:12]}"
        self.parent = f"/cricket-test/{self.id}"
        self.used: list[str] = []

    def inputs(
        self,
        script: str,
        *,
        security: ContainerSecurity | None = None,
        config: JsonDict | None = None,
        sandbox: JsonDict | None = None,
        **changes: object,
    ) -> SpecInputs:
        """Inputs of a container that runs a shell script in its own PID namespace."""
        container_id = f"c{uuid.uuid4().hex[:12]}"
        self.bundles.make(container_id)
        self.used.append(container_id)
        root = Path(self.bundles.rootfs(container_id))
        root.rmdir()
        make_busybox(root)
        # As in real life the root file system is a mount of its own; crun makes the mount that it lies on private.
        mounts.bind(str(root), str(root))
        shm = self.area / "shm"
        shm.mkdir(exist_ok=True)
        own_pid = NamespaceOptions(pid=NamespaceMode.CONTAINER, network=NamespaceMode.NODE)
        security = security or ContainerSecurity()
        if security.namespaces == NamespaceOptions():
            security = msgspec.structs.replace(security, namespaces=own_pid)
        container = ContainerConfig(
            metadata=ContainerMetadata("main"),
            command=("/bin/sh", "-c", script),
            security=security,
            **(config or {}),
        )
        record = Sandbox(
            id=self.id,
            config=SandboxConfig(
                metadata=SandboxMetadata("pod", "uid", "default"),
                cgroup_parent=self.parent,
                security=SandboxSecurity(privileged=security.privileged, namespaces=security.namespaces),
                **(sandbox or {}),
            ),
            handler="",
            state=SandboxState.READY,
            created_at=1,
            boot_id="b",
        )
        inputs = SpecInputs(
            id=container_id,
            sandbox=record,
            config=container,
            image=ImageConfig(env=("PATH=/bin",)),
            rootfs=str(root),
            user=UserIds(groups=(0,)),
            host=self.host,
            handler=HandlerSettings(features=self.features),
            namespaces={},
            files=SandboxFiles(shm=str(shm)),
        )
        return msgspec.structs.replace(inputs, **changes)

    async def run(self, spec: JsonDict) -> Result:
        """Run the spec to its end."""
        container_id = self.used[-1]
        self.bundles.write(container_id, spec)
        argv = [self.runtime.binary, *self.runtime.global_args, "run", "--bundle", self.bundles.path(container_id)]
        return await run([*argv, container_id], timeout=30)

    async def output(self, spec: JsonDict) -> str:
        """What the script printed; it must succeed."""
        result = await self.run(spec)
        assert result.code == 0, result.error_text
        return result.stdout.decode()


@pytest.fixture
async def box(runtime: Runtime, probed: Probe, area: Path) -> AsyncIterator[Box]:
    made = Box(runtime, probed.features, area)
    yield made
    for container_id in made.used:
        await runtime.delete(container_id, force=True)
        mounts.unmount(made.bundles.rootfs(container_id))
    _remove_cgroups(made.parent)


def _remove_cgroups(parent: str) -> None:
    for hierarchy in ("", *os.listdir("/sys/fs/cgroup")):
        base = f"/sys/fs/cgroup/{hierarchy}"
        for path in (f"{base}{parent}", f"{base}/cricket-test"):
            if os.path.isdir(path) and not os.path.islink(path):
                try:
                    os.rmdir(path)
                except OSError:
                    continue


Until = Callable[[Callable[[], Awaitable[bool]]], Awaitable[None]]


@pytest.fixture
def until() -> Until:
    """Wait for a condition, at most ten seconds."""

    async def wait(condition: Callable[[], Awaitable[bool]]) -> None:
        async with asyncio.timeout(10):
            while not await condition():
                await asyncio.sleep(0.01)

    return wait
