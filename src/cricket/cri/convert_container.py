"""Containers: configuration in both directions, list item and status."""

from __future__ import annotations

from cricket._proto.cri import api_pb2 as pb
from cricket.cri.convert_resources import device_from, device_to, resources_from, resources_to
from cricket.cri.convert_security import (
    container_security_from,
    container_security_to,
    mappings_from,
    mappings_to,
)
from cricket.cri.convert_signal import signal_name, signal_value, signal_value_of_number
from cricket.cri.fields import number, present, required, text, texts, wire
from cricket.errors import InvalidArgument
from cricket.types.container import (
    Container,
    ContainerConfig,
    ContainerMetadata,
    ContainerState,
    Propagation,
    VolumeMount,
)

_STATES = {
    ContainerState.CREATING: pb.CONTAINER_CREATED,
    ContainerState.CREATED: pb.CONTAINER_CREATED,
    ContainerState.STARTING: pb.CONTAINER_CREATED,
    ContainerState.RUNNING: pb.CONTAINER_RUNNING,
    ContainerState.EXITED: pb.CONTAINER_EXITED,
    ContainerState.REMOVING: pb.CONTAINER_EXITED,
}


def container_config_from(message: pb.ContainerConfig, field: str = "config") -> ContainerConfig:
    """`ContainerConfig`, checked; `field` is where it stands in the request."""
    metadata = present(message, "metadata", f"{field}.metadata")
    linux = message.linux
    return ContainerConfig(
        metadata=ContainerMetadata(required(metadata.name, f"{field}.metadata.name"), metadata.attempt),
        image=required(message.image.image, f"{field}.image.image"),
        user_image=message.image.user_specified_image,
        image_annotations=dict(message.image.annotations),
        command=texts(message.command, f"{field}.command"),
        args=texts(message.args, f"{field}.args"),
        working_dir=text(message.working_dir, f"{field}.working_dir"),
        env=tuple(_env_from(e, f"{field}.envs") for e in message.envs),
        mounts=tuple(mount_from(m, f"{field}.mounts") for m in message.mounts),
        devices=tuple(device_from(d, f"{field}.devices") for d in message.devices),
        cdi_devices=tuple(required(d.name, f"{field}.CDI_devices.name") for d in message.CDI_devices),
        labels=dict(message.labels),
        annotations=dict(message.annotations),
        log_path=text(message.log_path, f"{field}.log_path"),
        stdin=message.stdin,
        stdin_once=message.stdin_once,
        tty=message.tty,
        resources=resources_from(linux.resources, f"{field}.linux.resources"),
        security=container_security_from(linux.security_context, f"{field}.linux.security_context"),
        stop_signal=signal_name(message.stop_signal, f"{field}.stop_signal"),
    )


def container_config_to(config: ContainerConfig) -> pb.ContainerConfig:
    """The reverse of `container_config_from`."""
    return pb.ContainerConfig(
        metadata=pb.ContainerMetadata(name=config.metadata.name, attempt=config.metadata.attempt),
        image=pb.ImageSpec(
            image=config.image, annotations=config.image_annotations, user_specified_image=config.user_image
        ),
        command=config.command,
        args=config.args,
        working_dir=config.working_dir,
        envs=[pb.KeyValue(key=k, value=v.encode("utf-8", "surrogateescape")) for k, v in config.env],
        mounts=[mount_to(m) for m in config.mounts],
        devices=[device_to(d) for d in config.devices],
        CDI_devices=[pb.CDIDevice(name=name) for name in config.cdi_devices],
        labels=config.labels,
        annotations=config.annotations,
        log_path=config.log_path,
        stdin=config.stdin,
        stdin_once=config.stdin_once,
        tty=config.tty,
        linux=pb.LinuxContainerConfig(
            resources=resources_to(config.resources), security_context=container_security_to(config.security)
        ),
        stop_signal=wire(signal_value(config.stop_signal)),
    )


def _env_from(message: pb.KeyValue, field: str) -> tuple[str, str]:
    """A variable. The value is bytes on the wire; what is not UTF-8 becomes surrogates and goes out as it came."""
    key = required(message.key, f"{field}.key")
    if "=" in key:
        raise InvalidArgument(f"the name of a variable holds no '=': {key!r}", where=f"{field}.key")
    return key, text(message.value.decode("utf-8", "surrogateescape"), f"{field}.value")


def mount_from(message: pb.Mount, field: str) -> VolumeMount:
    """`Mount`: a host path or an image, never both."""
    image = message.image.image
    host = text(message.host_path, f"{field}.host_path")
    target = required(message.container_path, f"{field}.container_path")
    if image and host:
        raise InvalidArgument("a mount has a host path or an image, not both", where=f"{field}[{target}]")
    if not image and not host:
        raise InvalidArgument("a mount needs a host path or an image", where=f"{field}[{target}].host_path")
    return VolumeMount(
        container_path=target,
        host_path=host,
        readonly=message.readonly,
        selinux_relabel=message.selinux_relabel,
        propagation=number(Propagation, message.propagation, f"{field}.propagation"),
        uid_mappings=mappings_from(message.uidMappings),
        gid_mappings=mappings_from(message.gidMappings),
        recursive_read_only=message.recursive_read_only,
        image=image,
        image_sub_path=text(message.image_sub_path, f"{field}.image_sub_path"),
        options=tuple(message.mount_options),
    )


def mount_to(mount: VolumeMount) -> pb.Mount:
    """The reverse of `mount_from`. In a status the image is an Image.id, which is its `image_ref` too."""
    image = pb.ImageSpec(image=mount.image, image_ref=mount.image) if mount.image else None
    return pb.Mount(
        container_path=mount.container_path,
        host_path=mount.host_path,
        readonly=mount.readonly,
        selinux_relabel=mount.selinux_relabel,
        propagation=wire(mount.propagation),
        uidMappings=mappings_to(mount.uid_mappings),
        gidMappings=mappings_to(mount.gid_mappings),
        recursive_read_only=mount.recursive_read_only,
        image=image,
        image_sub_path=mount.image_sub_path,
        mount_options=mount.options,
    )


def container_state_to(state: ContainerState) -> pb.ContainerState:
    """The CRI state; UNKNOWN is never shown, as the kubelet kills and restarts what is unknown."""
    return _STATES[state]


def container_item(container: Container) -> pb.Container:
    """The list item."""
    config = container.config
    return pb.Container(
        id=container.id,
        pod_sandbox_id=container.sandbox_id,
        metadata=_metadata(container),
        image=_image(container),
        image_ref=container.image_ref or container.image_id,
        state=container_state_to(container.state),
        created_at=container.created_at,
        labels=config.labels,
        annotations=config.annotations,
        image_id=container.image_id,
    )


def container_status(container: Container) -> pb.ContainerStatus:
    """The status. A container that was removed or failed before it ran has no user yet."""
    config, user = container.config, container.user
    return pb.ContainerStatus(
        id=container.id,
        metadata=_metadata(container),
        state=container_state_to(container.state),
        created_at=container.created_at,
        started_at=container.started_at,
        finished_at=container.finished_at,
        exit_code=container.exit_code,
        image=_image(container),
        image_ref=container.image_ref or container.image_id,
        reason=container.reason,
        message=container.message,
        labels=config.labels,
        annotations=config.annotations,
        mounts=[mount_to(m) for m in container.mounts],
        log_path=container.log_path,
        resources=pb.ContainerResources(linux=resources_to(container.resources)),
        image_id=container.image_id,
        user=pb.ContainerUser(linux=pb.LinuxContainerUser(uid=user.uid, gid=user.gid, supplemental_groups=user.groups)),
        stop_signal=wire(signal_value_of_number(container.stop_signal)),
    )


def _metadata(container: Container) -> pb.ContainerMetadata:
    metadata = container.config.metadata
    return pb.ContainerMetadata(name=metadata.name, attempt=metadata.attempt)


def _image(container: Container) -> pb.ImageSpec:
    """The image as people know it: the kubelet may have asked for it by id, then the user's words are better."""
    config = container.config
    asked_by_id = not config.image or config.image == container.image_id or config.image.startswith("sha256:")
    return pb.ImageSpec(
        image=(config.user_image or config.image or container.image_id) if asked_by_id else config.image,
        annotations=config.image_annotations,
        user_specified_image=config.user_image,
    )
