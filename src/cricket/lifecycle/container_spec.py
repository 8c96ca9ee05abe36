"""From a container's record to the spec that its runtime gets: gather what is needed, then one pure function."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec

from cricket.errors import FailedPrecondition, InvalidArgument
from cricket.lifecycle import sandbox_init, sandbox_namespaces
from cricket.lifecycle.container_rootfs import mount_rootfs, resolve_volumes
from cricket.lifecycle.parts import Parts
from cricket.lifecycle.sandbox_files import shm_source
from cricket.lifecycle.seccomp_file import seccomp_file
from cricket.oci import apparmor, selinux
from cricket.oci.cdi.names import requested
from cricket.oci.inputs import SandboxFiles, SelinuxLabels, SpecInputs
from cricket.oci.resolve import host_devices, resolve_devices
from cricket.oci.spec import container_spec
from cricket.oci.users import resolve_user
from cricket.types.container import Container, ContainerState
from cricket.types.image import Image
from cricket.types.sandbox import Sandbox
from cricket.types.security import NamespaceMode

Spec = dict[str, Any]


async def build(e: Parts, box: Sandbox, container: Container, image: Image) -> tuple[Spec, Container]:
    """Mount what the container needs and generate its spec; the record with user and mounts filled in."""
    config, handler = container.config, e.handlers.of(container.handler)
    security = config.security
    rootfs = mount_rootfs(e, box, container.id, image)
    by_runtime = handler.features.idmap_mounts
    mounts, shown = resolve_volumes(e, box, container.id, config.mounts, by_runtime)
    user = resolve_user(rootfs, security, image.config.user)
    settings = e.handlers.settings(handler)
    labels = _labels(e, box, container)
    inputs = SpecInputs(
        id=container.id,
        sandbox=box,
        config=config,
        image=image.config,
        rootfs=rootfs,
        user=user,
        host=e.host,
        handler=settings,
        namespaces=_namespaces(e, box, container),
        mounts=mounts,
        files=_files(e, box),
        devices=resolve_devices(config.devices),
        host_devices=host_devices() if _all_devices(e, container) else (),
        seccomp=seccomp_file(e, security.seccomp),
        selinux=labels,
        image_name=config.user_image or config.image,
    )
    spec = container_spec(inputs)
    if profile := spec["process"].get("apparmorProfile"):
        await apparmor.ensure_loaded(profile)
    spec = await asyncio.to_thread(_extend, e, container, spec)
    return spec, msgspec.structs.replace(container, user=user, mounts=shown)


def _extend(e: Parts, container: Container, spec: Spec) -> Spec:
    """CDI devices and hook files; both read directories."""
    config = container.config
    names = requested(config.cdi_devices, config.annotations)
    if names:
        e.cdi.inject(spec, names)
    e.hooks.inject(spec, config.annotations, bool(config.mounts))
    return spec


def _all_devices(e: Parts, container: Container) -> bool:
    handler = e.handlers.of(container.handler)
    return container.config.security.privileged and not handler.config.privileged_without_host_devices


def _labels(e: Parts, box: Sandbox, container: Container) -> SelinuxLabels:
    if not (e.config.security.selinux and e.host.selinux):
        return SelinuxLabels()
    security = container.config.security
    return selinux.labels(security.selinux, box.id, privileged=security.privileged)


def _files(e: Parts, box: Sandbox) -> SandboxFiles:
    return SandboxFiles(
        hosts=e.layout.sandbox_file(box.id, "hosts"),
        hostname=e.layout.sandbox_file(box.id, "hostname"),
        resolv_conf=e.layout.sandbox_file(box.id, "resolv.conf"),
        shm=shm_source(e.layout, box),
    )


def _namespaces(e: Parts, box: Sandbox, container: Container) -> dict[str, str]:
    """Kind to path; the PID namespace is the init's or the target's."""
    paths = sandbox_namespaces.joined(e.layout, box)
    options = container.config.security.namespaces
    if options.pid is NamespaceMode.POD:
        paths["pid"] = f"/proc/{sandbox_init.pid(box)}/ns/pid"
    elif options.pid is NamespaceMode.TARGET:
        target = e.store.container(options.target_id)
        if target.sandbox_id != box.id:
            raise InvalidArgument("the target container is in another sandbox", where=target.id)
        if target.state is not ContainerState.RUNNING:
            raise FailedPrecondition("the target container does not run", where=target.id)
        paths["pid"] = f"/proc/{target.pid}/ns/pid"
    return paths
