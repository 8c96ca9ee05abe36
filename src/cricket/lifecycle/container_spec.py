"""From a container's record to the spec that its runtime gets: gather what is needed, then one pure function."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from typing import Any

import msgspec

from cricket.errors import FailedPrecondition, InvalidArgument
from cricket.kernel.files import make_dir
from cricket.kernel.namespaces import is_pinned, pin_of_process
from cricket.kernel.proc import belongs
from cricket.lifecycle import sandbox_init, sandbox_namespaces
from cricket.lifecycle.container_rootfs import mount_rootfs, resolve_volumes
from cricket.lifecycle.parts import Parts
from cricket.lifecycle.sandbox_files import HOST_SHM, shm_source
from cricket.lifecycle.seccomp_file import seccomp_file
from cricket.oci import apparmor, selinux
from cricket.oci.cdi.names import requested
from cricket.oci.inputs import ResolvedMount, SandboxFiles, SelinuxLabels, SpecInputs
from cricket.oci.resolve import host_devices, resolve_devices
from cricket.oci.spec import container_spec
from cricket.oci.users import resolve_user
from cricket.types.container import Container, ContainerState
from cricket.types.image import Image
from cricket.types.sandbox import Sandbox
from cricket.types.security import NamespaceMode
from cricket.types.stage import stage

Spec = dict[str, Any]


async def build(e: Parts, box: Sandbox, container: Container, image: Image) -> tuple[Spec, Container]:
    """Mount what the container needs and generate its spec; the record with user and mounts filled in."""
    target = _target(e, box, container)
    spec, container = await asyncio.to_thread(_build, e, box, container, image, target)
    if profile := spec["process"].get("apparmorProfile"):
        await apparmor.ensure_loaded(profile)
    return spec, container


def _build(
    e: Parts, box: Sandbox, container: Container, image: Image, target: Container | None
) -> tuple[Spec, Container]:
    """In a thread: host paths may be on a file system that hangs, and unpacked layers on a slow disk."""
    config, handler = container.config, e.handlers.of(container.handler)
    security = config.security
    with stage("root file system", container.id):
        rootfs = mount_rootfs(e, box, container.id, image)
    with stage("volumes", container.id):
        mounts, shown = resolve_volumes(e, box, container.id, config.mounts, handler.features.idmap_mounts)
    user = resolve_user(rootfs, security, image.config.user)
    files, labels = _files(e, box), _labels(e, box, container)
    with stage("SELinux labels", container.id):
        _relabel(files, mounts, labels)
    with stage("spec", container.id):
        inputs = SpecInputs(
            id=container.id,
            sandbox=box,
            config=config,
            image=image.config,
            rootfs=rootfs,
            user=user,
            host=e.host,
            handler=e.handlers.settings(handler),
            namespaces=_namespaces(e, box, container, target),
            mounts=mounts,
            files=files,
            devices=resolve_devices(config.devices),
            host_devices=host_devices() if _all_devices(e, container) else (),
            seccomp=seccomp_file(e, security.seccomp),
            selinux=labels,
            image_name=config.user_image or config.image,
        )
        spec = _extend(e, container, container_spec(inputs))
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


def _relabel(files: SandboxFiles, mounts: Sequence[ResolvedMount], labels: SelinuxLabels) -> None:
    """Give the pod's own files, and the volumes for which it was asked, the container's label; nothing without one."""
    if not labels.mount:
        return
    for path in (files.hosts, files.hostname, files.resolv_conf, files.shm):
        if path != HOST_SHM:
            selinux.relabel(path, labels.mount)
    for each in mounts:
        if each.mount.selinux_relabel and not each.mount.image:
            selinux.relabel(each.source, labels.mount)


def _files(e: Parts, box: Sandbox) -> SandboxFiles:
    return SandboxFiles(
        hosts=e.layout.sandbox_file(box.id, "hosts"),
        hostname=e.layout.sandbox_file(box.id, "hostname"),
        resolv_conf=e.layout.sandbox_file(box.id, "resolv.conf"),
        shm=shm_source(e.layout, box),
    )


def _target(e: Parts, box: Sandbox, container: Container) -> Container | None:
    """The container whose PID namespace is to be joined. Raises NotFound, InvalidArgument, FailedPrecondition."""
    options = container.config.security.namespaces
    if options.pid is not NamespaceMode.TARGET:
        return None
    target = e.store.container(options.target_id)
    if target.sandbox_id != box.id:
        raise InvalidArgument("the target container is in another sandbox", where=target.id)
    if target.state is not ContainerState.RUNNING:
        raise FailedPrecondition("the target container does not run", where=target.id)
    return target


def _namespaces(e: Parts, box: Sandbox, container: Container, target: Container | None) -> dict[str, str]:
    """Kind to path. The PID namespace is the init's or the target's, pinned: by the start its pid may be another's."""
    paths = sandbox_namespaces.joined(e.layout, box)
    if container.config.security.namespaces.pid is NamespaceMode.POD:
        init, pin = sandbox_init.pid(box), e.layout.pin(box.id, "pid")
        paths["pid"] = pin if is_pinned(pin) else f"/proc/{init}/ns/pid"
    elif target is not None:
        paths["pid"] = e.layout.target_pid(container.id)
        make_dir(os.path.dirname(paths["pid"]))
        pin_of_process(target.pid, "pid", paths["pid"])
        if not belongs(target.pid, target.id):
            raise FailedPrecondition("the target container does not run any more", where=target.id)
    return paths
