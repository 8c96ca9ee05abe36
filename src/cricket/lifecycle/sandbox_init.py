"""The init of a sandbox whose containers share one PID namespace: catatonit in pause mode. Other sandboxes have none."""

from __future__ import annotations

import os
import shutil

import msgspec

from cricket.errors import FailedPrecondition, Internal
from cricket.kernel import cgroups, mounts
from cricket.kernel.effects import effect
from cricket.kernel.files import make_dir
from cricket.lifecycle import sandbox_namespaces
from cricket.lifecycle.parts import Parts
from cricket.oci.bundle import write_bundle
from cricket.oci.cgroup import cgroup_dir
from cricket.oci.sandbox_init import INIT_PATHS, sandbox_init_spec
from cricket.types.sandbox import Sandbox


def pid(box: Sandbox) -> int:
    """The init's pid. Raises FailedPrecondition when the sandbox has none."""
    if not box.init_pid:
        raise FailedPrecondition(
            "the sandbox has no shared PID namespace: it was created with another pid mode", where=box.id
        )
    return box.init_pid


def binary() -> str:
    """Where catatonit is. Raises FailedPrecondition when it is not installed."""
    for path in (*INIT_PATHS, shutil.which("catatonit") or ""):
        if path and os.access(path, os.X_OK):
            return path
    raise FailedPrecondition(
        "a shared PID namespace needs catatonit, which is not installed", todo="Install the package catatonit."
    )


async def start(e: Parts, box: Sandbox) -> Sandbox:
    """Start the init and watch it; the record with its pid. Raises Internal, FailedPrecondition."""
    handler = e.handlers.of(box.runtime)
    bundle = e.layout.sandbox_file(box.id, "init")
    rootfs = f"{bundle}/rootfs"
    make_dir(rootfs)
    spec = sandbox_init_spec(
        box,
        rootfs=rootfs,
        binary=binary(),
        namespaces=sandbox_namespaces.joined(e.layout, box),
        host=e.host,
        handler=e.handlers.settings(handler),
    )
    write_bundle(bundle, spec)
    await handler.runtime.run_detached(box.id, bundle, f"{bundle}/pidfile")
    effect("start sandbox init")
    try:
        with open(f"{bundle}/pidfile", encoding="ascii") as f:
            init_pid = int(f.read())
    except (OSError, ValueError) as error:
        raise Internal("the runtime did not tell the init's pid", where=bundle) from error
    e.processes.add(box.id, init_pid)
    return msgspec.structs.replace(box, init_pid=init_pid)


async def remove(e: Parts, box: Sandbox) -> None:
    """Kill the init and remove what it had. Idempotent; without an init nothing happens."""
    bundle = e.layout.sandbox_file(box.id, "init")
    e.processes.forget(box.id)
    if not os.path.isdir(bundle):
        return
    await e.handlers.of(box.runtime).runtime.delete(box.id, force=True)
    effect("delete sandbox init")
    cgroups.remove(e.cgroups, cgroup_dir(box.config.cgroup_parent, box.id, e.handlers.cgroup_driver))
    mounts.unmount_below(bundle)
