"""Every path of the engine, made from an id and nothing else."""

from __future__ import annotations

import os

import msgspec


class Layout(msgspec.Struct, frozen=True):
    """Paths below `root` (durable) and `state` (this boot)."""

    root: str
    state: str

    @property
    def database(self) -> str:
        """The store's file."""
        return f"{self.root}/state.db"

    @property
    def images(self) -> str:
        """The image store's directory."""
        return f"{self.root}/images"

    @property
    def exits(self) -> str:
        """Where conmon writes exit codes."""
        return f"{self.state}/exits"

    def sandboxes(self) -> str:
        """Parent of all sandbox directories."""
        return f"{self.state}/sandboxes"

    def sandbox(self, sandbox_id: str) -> str:
        """A sandbox's directory: pins, hosts, resolv.conf, shm."""
        return f"{self.state}/sandboxes/{sandbox_id}"

    def pin(self, sandbox_id: str, kind: str) -> str:
        """The file on which a namespace ("net", "ipc", "uts", "user") is pinned."""
        return f"{self.state}/sandboxes/{sandbox_id}/ns/{kind}"

    def sandbox_file(self, sandbox_id: str, name: str) -> str:
        """A file of the sandbox: "hostname", "hosts", "resolv.conf", or the directory "shm" or "init"."""
        return f"{self.state}/sandboxes/{sandbox_id}/{name}"

    def containers(self) -> str:
        """Parent of all bundles."""
        return f"{self.state}/containers"

    def bundle(self, container_id: str) -> str:
        """A container's OCI bundle."""
        return f"{self.state}/containers/{container_id}"

    def rootfs(self, container_id: str) -> str:
        """Where a container's root file system is mounted."""
        return f"{self.state}/containers/{container_id}/rootfs"

    def volume(self, container_id: str, index: int) -> str:
        """Where the mount number `index` is prepared (image volumes, idmapped mounts)."""
        return f"{self.state}/containers/{container_id}/volumes/{index}"

    def target_pid(self, container_id: str) -> str:
        """Where the PID namespace is pinned that the container shares with another one; among the volumes."""
        return f"{self.state}/containers/{container_id}/volumes/pid"

    def checkpoint(self, container_id: str) -> str:
        """Where a container's CRIU image is unpacked for a restore; durable, as a created container is."""
        return f"{self.root}/checkpoints/{container_id}"

    def prepare(self) -> None:
        """Make the fixed directories."""
        for path, mode in (
            (self.root, 0o711),
            (self.state, 0o711),
            (self.sandboxes(), 0o711),
            (self.containers(), 0o711),
            (self.exits, 0o700),
        ):
            os.makedirs(path, mode, exist_ok=True)
