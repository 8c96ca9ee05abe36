"""The runtime's verbs against real crun and runc."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from cricket.errors import FailedPrecondition, Internal, NotFound
from cricket.kernel.process import run
from cricket.oci.hooks import HookDirectories
from cricket.oci.host import HostFacts
from cricket.oci.inputs import HandlerSettings
from cricket.oci.process import exec_process
from cricket.oci.runtime import Runtime
from cricket.oci.runtime_probe import Probe, probe
from cricket.oci.sandbox_init import InitInputs, find_init, make_rootfs, sandbox_init_spec
from cricket.oci.spec import container_spec
from cricket.types.sandbox import SandboxConfig, SandboxMetadata
from cricket.types.security import SandboxSecurity

pytestmark = pytest.mark.root
Box = Any


async def create(box: Box, container_id: str) -> None:
    argv = [box.runtime.binary, *box.runtime.global_args, "create", "--bundle", box.bundles.path(container_id)]
    result = await run([*argv, container_id], timeout=30, drain=0)
    assert result.code == 0, result.error_text


async def sleeper(box: Box, script: str = "exec sleep 100") -> str:
    inputs = box.inputs(script)
    box.bundles.write(inputs.id, container_spec(inputs))
    await create(box, inputs.id)
    return str(inputs.id)


async def test_the_life_of_a_container(box: Box, until: Any) -> None:
    runtime, container = box.runtime, await sleeper(box)
    state = await runtime.state(container)
    assert state["status"] == "created"
    assert state["pid"] > 0
    await runtime.start(container)
    assert (await runtime.state(container))["status"] == "running"
    with pytest.raises(FailedPrecondition):
        await runtime.delete(container)
    await runtime.pause(container)
    assert (await runtime.state(container))["status"] == "paused"
    await runtime.resume(container)
    await runtime.kill(container, signal.SIGKILL)

    async def stopped() -> bool:
        return bool((await runtime.state(container))["status"] == "stopped")

    await until(stopped)
    await runtime.kill(container, signal.SIGTERM)
    await runtime.kill(container, signal.SIGKILL, all_processes=True)
    await runtime.delete(container)
    assert await runtime.state(container) is None
    await runtime.delete(container)
    await runtime.delete(container, force=True)
    await runtime.kill(container, signal.SIGKILL)
    assert not list(Path("/sys/fs/cgroup").glob(f"*{box.parent}/{container}"))


async def test_what_is_unknown(runtime: Runtime) -> None:
    assert await runtime.state("nobody") is None
    for verb in (runtime.start, runtime.pause, runtime.resume):
        with pytest.raises(NotFound):
            await verb("nobody")


async def test_state_that_a_crash_left_half_written(runtime: Runtime) -> None:
    Path(runtime.root, "half").mkdir(parents=True)
    with pytest.raises(Internal):
        await runtime.state("half")
    await runtime.delete("half", force=True)
    assert await runtime.state("half") is None
    Path(runtime.root, "half").mkdir(parents=True)
    await runtime.delete("half")
    assert not Path(runtime.root, "half").exists()


async def test_a_failure_has_the_runtimes_own_words(box: Box) -> None:
    container = await sleeper(box)
    await box.runtime.start(container)
    with pytest.raises(Internal) as caught:
        await box.runtime.start(container)
    assert box.runtime.name in str(caught.value)
    assert "level=" not in str(caught.value)
    assert "{" not in str(caught.value)


async def test_limits_go_up_and_down(box: Box) -> None:
    if box.host.cgroup_version != 1:
        pytest.skip("reads cgroup v1 files")
    container = await sleeper(box)
    await box.runtime.start(container)
    memory = f"/sys/fs/cgroup/memory{box.parent}/{container}"
    for mib in (64, 256, 32):
        await box.runtime.update(container, {"memory": {"limit": mib << 20, "swap": mib << 20}, "cpu": {"shares": mib}})
        assert Path(memory, "memory.limit_in_bytes").read_text().strip() == str(mib << 20)
        assert Path(memory, "memory.memsw.limit_in_bytes").read_text().strip() == str(mib << 20)
    await box.runtime.update(container, {"cpu": {"quota": 20000, "period": 100000}})
    with pytest.raises(Internal):
        await box.runtime.update(container, {"cpu": {"cpus": "4000"}})


async def test_exec(box: Box, area: Path) -> None:
    inputs = box.inputs("exec sleep 100", config={"env": (("GREETING", "hello"),)})
    spec = container_spec(inputs)
    box.bundles.write(inputs.id, spec)
    await create(box, inputs.id)
    await box.runtime.start(inputs.id)
    process = area / "process.json"
    process.write_bytes(msgspec.json.encode(exec_process(spec, ["/bin/sh", "-c", "echo $GREETING; exit 7"])))
    argv = box.runtime.exec_argv(inputs.id, str(process), str(area / "exec.pid"))
    result = await run(argv, timeout=20)
    assert (result.code, result.stdout) == (7, b"hello\n")
    assert int((area / "exec.pid").read_text()) > 0


async def test_hooks_of_a_directory_run(box: Box, area: Path) -> None:
    (area / "hooks").mkdir()
    hook = {
        "version": "1.0.0",
        "hook": {"path": "/bin/sh", "args": ["sh", "-c", f"cat > {area}/seen"]},
        "when": {"always": True},
        "stages": ["createRuntime"],
    }
    (area / "hooks/a.json").write_text(json.dumps(hook))
    inputs = box.inputs("true")
    spec = container_spec(inputs)
    assert HookDirectories([str(area / "hooks")]).inject(spec, {}, False) == ["a.json"]
    await box.output(spec)
    assert json.loads((area / "seen").read_text())["id"] == inputs.id


async def test_the_init_of_a_sandbox(box: Box) -> None:
    inputs = box.inputs("true")
    container = "i" + inputs.id
    box.used.append(container)
    box.bundles.make(container)
    make_rootfs(box.bundles.rootfs(container))
    config = SandboxConfig(
        SandboxMetadata("pod", "uid", "default"),
        cgroup_parent=box.parent,
        security=SandboxSecurity(run_as_user=1234, supplemental_groups=(5678,)),
    )
    sandbox = msgspec.structs.replace(inputs.sandbox, config=config)
    spec = sandbox_init_spec(
        InitInputs(
            sandbox=sandbox,
            rootfs=box.bundles.rootfs(container),
            init=find_init(),
            host=HostFacts.gather(),
            handler=HandlerSettings(features=box.features),
            namespaces={"uts": "/proc/self/ns/uts"},
        )
    )
    box.bundles.write(container, spec)
    pid_file = f"{box.bundles.path(container)}/pidfile"
    async with asyncio.timeout(0.9):
        await box.runtime.run_detached(container, box.bundles.path(container), pid_file)
    assert int(Path(pid_file).read_text()) == (await box.runtime.state(container))["pid"]
    pid = (await box.runtime.state(container))["pid"]
    status = Path(f"/proc/{pid}/status").read_text()
    assert "Uid:\t1234" in status
    assert "5678" in status
    assert "NoNewPrivs:\t1" in status
    assert int(next(x.split()[1] for x in status.splitlines() if x.startswith("CapBnd")), 16) == 0
    assert os.readlink(f"/proc/{pid}/ns/uts") == os.readlink("/proc/self/ns/uts")
    assert os.readlink(f"/proc/{pid}/ns/pid") != os.readlink("/proc/self/ns/pid")
    # A container joins the init's PID namespace and sees it as process 1.
    joined = box.inputs("cat /proc/1/comm", namespaces={"pid": f"/proc/{pid}/ns/pid"})
    options = msgspec.structs.replace(joined.config.security.namespaces, pid=0)
    security = msgspec.structs.replace(joined.config.security, namespaces=options)
    joined = msgspec.structs.replace(joined, config=msgspec.structs.replace(joined.config, security=security))
    assert (await box.output(container_spec(joined))).strip() == "catatonit"


async def test_a_probe_leaves_nothing(runtime: Runtime, probed: Probe, area: Path) -> None:
    assert probed.features.version
    assert probed.features.seccomp
    assert os.listdir(area / "bundles") == []
    assert not os.path.isdir(runtime.root) or os.listdir(runtime.root) == []
    assert not list(Path("/sys/fs/cgroup").glob("*/cricket-probe-*"))


async def test_a_runtime_that_does_not_work_says_why(area: Path) -> None:
    missing = await probe(Runtime("x", "no-such-runtime", str(area / "x")), str(area / "b"))
    assert not missing.usable
    assert "not installed" in missing.reason
    broken = await probe(Runtime("x", "true", str(area / "x")), str(area / "b"))
    assert not broken.usable


async def test_a_detached_container_that_fails_says_why(box: Box) -> None:
    inputs = box.inputs("true")
    spec = container_spec(inputs)
    spec["process"]["args"] = ["/no/such/program"]
    box.bundles.write(inputs.id, spec)
    with pytest.raises(Internal, match="no/such/program"):
        await box.runtime.run_detached(inputs.id, box.bundles.path(inputs.id), f"{box.bundles.path(inputs.id)}/pid")
