"""The init of a sandbox whose containers share a PID namespace: catatonit in pause mode."""

from __future__ import annotations

import asyncio

import msgspec

from cricket.errors import FailedPrecondition, Internal
from cricket.kernel import cgroups, mounts
from cricket.kernel.effects import effect
from cricket.lifecycle import sandbox_namespaces
from cricket.lifecycle.parts import Parts
from cricket.lifecycle.seccomp_file import seccomp_file
from cricket.oci.bundle import Bundles
from cricket.oci.cgroup import cgroup_dir
from cricket.oci.sandbox_init import InitInputs, find_init, make_rootfs, sandbox_init_spec
from cricket.types.sandbox import Sandbox
from cricket.types.security import NamespaceMode

_BUNDLE = "init"


def pid(box: Sandbox) -> int:
    """The init's pid. Raises FailedPrecondition when the sandbox has none."""
    if not box.init_pid:
        raise FailedPrecondition(
            "the sandbox has no shared PID namespace: it was created with another pid mode", where=box.id
        )
    return box.init_pid


async def start(e: Parts, box: Sandbox) -> Sandbox:
    """Start the init and watch it; the record with its pid. Raises Internal, FailedPrecondition."""
    handler = e.handlers.of(box.runtime)
    bundles = Bundles(e.layout.sandbox(box.id))
    bundle = bundles.make(_BUNDLE)
    make_rootfs(bundles.rootfs(_BUNDLE))
    inputs = InitInputs(
        sandbox=box,
        rootfs=bundles.rootfs(_BUNDLE),
        init=find_init(),
        host=e.host,
        handler=e.handlers.settings(handler),
        namespaces=sandbox_namespaces.joined(e.layout, box),
        seccomp=await asyncio.to_thread(seccomp_file, e, box.config.security.seccomp),
    )
    spec = sandbox_init_spec(inputs)
    bundles.write(_BUNDLE, spec)
    await handler.runtime.run_detached(box.id, bundle, f"{bundle}/pidfile")
    try:
        with open(f"{bundle}/pidfile", encoding="ascii") as f:
            init_pid = int(f.read())
    except (OSError, ValueError) as error:
        raise Internal("the runtime did not tell the init's pid", where=bundle) from error
    sandbox_namespaces.pin_pid(e.layout, box.id, init_pid)
    e.processes.add(box.id, init_pid)
    return msgspec.structs.replace(box, init_pid=init_pid)


async def remove(e: Parts, box: Sandbox) -> None:
    """Kill the init and remove what it had. Idempotent; without an init nothing happens."""
    e.processes.forget(box.id)
    if box.config.security.namespaces.pid is not NamespaceMode.POD:
        return
    await e.handlers.of(box.runtime).runtime.delete(box.id, force=True)
    cgroup = cgroup_dir(box.config.cgroup_parent, box.id, e.handlers.cgroup_driver)
    await asyncio.to_thread(cgroups.remove, e.cgroups, cgroup)
    effect("remove init cgroup")
    await asyncio.to_thread(mounts.unmount_below, e.layout.sandbox_file(box.id, _BUNDLE))
