"""Images and file-system usage as the rooms exchange them."""

from __future__ import annotations

import msgspec


class RegistryAuth(msgspec.Struct, frozen=True, omit_defaults=True):
    """Credentials of one pull (CRI `AuthConfig`); never logged, never persisted."""

    username: str = ""
    password: str = ""
    auth: str = ""
    server_address: str = ""
    identity_token: str = ""
    registry_token: str = ""

    def __repr__(self) -> str:
        return f"RegistryAuth(server_address={self.server_address!r}, ...)"


class ImageConfig(msgspec.Struct, frozen=True, omit_defaults=True):
    """The part of the OCI image config that running needs (OCI image-spec config.md, `config`)."""

    user: str = ""
    env: tuple[str, ...] = ()
    entrypoint: tuple[str, ...] = ()
    cmd: tuple[str, ...] = ()
    volumes: tuple[str, ...] = ()
    working_dir: str = ""
    labels: dict[str, str] = {}
    stop_signal: str = ""
    exposed_ports: tuple[str, ...] = ()


class Image(msgspec.Struct, frozen=True, omit_defaults=True):
    """An image of the store.

    `id` is the config digest ("sha256:..."); `tags` and `digests` are full references
    ("docker.io/library/busybox:latest", "docker.io/library/busybox@sha256:..."); `size` in bytes: config, manifest and
    compressed layers; `chain_id` names the committed snapshot of the top layer; `diff_ids` bottom first.
    """

    id: str
    tags: tuple[str, ...] = ()
    digests: tuple[str, ...] = ()
    size: int = 0
    chain_id: str = ""
    diff_ids: tuple[str, ...] = ()
    manifest_digest: str = ""
    config: ImageConfig = ImageConfig()
    architecture: str = ""
    os: str = ""
    created: str = ""
    pinned: bool = False
    annotations: dict[str, str] = {}


class FsUsage(msgspec.Struct, frozen=True, omit_defaults=True):
    """Usage of a directory; `mountpoint` is the directory itself (a real path); time in Unix nanoseconds."""

    mountpoint: str
    used_bytes: int
    inodes: int
    timestamp: int
