"""Images, credentials and file-system usage."""

from __future__ import annotations

import msgspec

from cricket._proto.cri import api_pb2 as pb
from cricket.types.image import FsUsage, Image, RegistryAuth


def auth_from(message: pb.PullImageRequest) -> RegistryAuth | None:
    """The credentials of a pull; None when there are none, an empty message included."""
    if not message.HasField("auth") or not message.auth.ListFields():
        return None
    auth = message.auth
    return RegistryAuth(
        username=auth.username,
        password=auth.password,
        auth=auth.auth,
        server_address=auth.server_address,
        identity_token=auth.identity_token,
        registry_token=auth.registry_token,
    )


def auth_to(auth: RegistryAuth) -> pb.AuthConfig:
    """The reverse of `auth_from`."""
    return pb.AuthConfig(
        username=auth.username,
        password=auth.password,
        auth=auth.auth,
        server_address=auth.server_address,
        identity_token=auth.identity_token,
        registry_token=auth.registry_token,
    )


def image_item(image: Image) -> pb.Image:
    """The image, in lists and in its status. Of `uid` and `username` at most one is set."""
    user = image.config.user.partition(":")[0]
    uid = pb.Int64Value(value=int(user)) if user.isascii() and user.isdigit() else None
    spec = pb.ImageSpec(image=image.id, annotations=image.annotations) if image.annotations else None
    return pb.Image(
        id=image.id,
        repo_tags=image.tags,
        repo_digests=image.digests,
        size=image.size,
        uid=uid,
        username="" if uid is not None else user,
        spec=spec,
        pinned=image.pinned,
    )


def image_info(image: Image) -> dict[str, str]:
    """Verbose information under the key "info": the chain id, and the image's config in the OCI spelling."""
    config = image.config
    words = {
        "User": config.user,
        "ExposedPorts": {port: {} for port in config.exposed_ports},
        "Env": config.env,
        "Entrypoint": config.entrypoint,
        "Cmd": config.cmd,
        "Volumes": {volume: {} for volume in config.volumes},
        "WorkingDir": config.working_dir,
        "Labels": config.labels,
        "StopSignal": config.stop_signal,
    }
    spec = {
        "created": image.created,
        "architecture": image.architecture,
        "os": image.os,
        "config": {key: value for key, value in words.items() if value},
        "rootfs": {"type": "layers", "diff_ids": image.diff_ids},
    }
    info = {
        "chainID": image.chain_id,
        "manifestDigest": image.manifest_digest,
        "imageSpec": {key: value for key, value in spec.items() if value},
    }
    return {"info": msgspec.json.encode(info).decode()}


def fs_usage_to(usage: FsUsage) -> pb.FilesystemUsage:
    """Usage of one file system or directory."""
    return pb.FilesystemUsage(
        timestamp=usage.timestamp,
        fs_id=pb.FilesystemIdentifier(mountpoint=usage.mountpoint),
        used_bytes=pb.UInt64Value(value=usage.used_bytes),
        inodes_used=pb.UInt64Value(value=usage.inodes),
    )
