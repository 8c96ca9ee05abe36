"""Bundles (OCI runtime-spec bundle.md): one directory for each container id, holding config.json and rootfs."""

from __future__ import annotations

import errno
import os

import msgspec

from cricket.errors import DataLoss, FailedPrecondition, InvalidArgument, ResourceExhausted, map_errors
from cricket.kernel.effects import effect
from cricket.kernel.files import atomic_write, make_dir, remove_tree
from cricket.oci.inputs import JsonDict


class Bundles:
    """The bundles below a directory on the state file system: a reboot empties it, so nothing is synced to disk.

    The directory is searchable by everybody, because in a user namespace the runtime walks to the root file system as
    somebody else; config.json, which holds environment variables, is readable by the daemon only.
    """

    def __init__(self, directory: str) -> None:
        self.directory = directory

    def path(self, container_id: str) -> str:
        """The bundle's directory, existing or not. Raises InvalidArgument for what is no id."""
        if not container_id or "/" in container_id or "\0" in container_id or container_id.startswith("."):
            raise InvalidArgument(f"{container_id[:100]!r} is no id")
        return os.path.join(self.directory, container_id)

    def rootfs(self, container_id: str) -> str:
        """Where the root file system is mounted."""
        return os.path.join(self.path(container_id), "rootfs")

    def make(self, container_id: str) -> str:
        """Make the bundle's directory and its rootfs directory; returns the former. Idempotent. Raises Internal."""
        make_dir(self.directory, 0o711)
        path = self.path(container_id)
        make_dir(path, 0o711)
        make_dir(self.rootfs(container_id))
        effect("bundle made")
        return path

    def write(self, container_id: str, spec: JsonDict) -> None:
        """Write config.json, whole or not at all. The bundle exists. Raises Internal."""
        atomic_write(self.config(container_id), msgspec.json.encode(spec), mode=0o600, durable=False)
        effect("bundle written")

    def read(self, container_id: str) -> JsonDict:
        """The spec that was written. Raises FailedPrecondition when there is none, DataLoss when it is no JSON,
        ResourceExhausted when no more files can be opened."""
        path = self.config(container_id)
        try:
            with open(path, "rb") as f:
                content = f.read()
        except OSError as e:
            if e.errno in (errno.EMFILE, errno.ENFILE):
                raise ResourceExhausted("the daemon, or the node, has no file descriptors left", where=path) from e
            raise FailedPrecondition("the container has no bundle", where=container_id) from e
        with map_errors(msgspec.MsgspecError, DataLoss, "broken config.json", where=path):
            return msgspec.json.decode(content, type=JsonDict)

    def config(self, container_id: str) -> str:
        """Path of config.json."""
        return os.path.join(self.path(container_id), "config.json")

    def remove(self, container_id: str) -> None:
        """Remove the bundle with everything in it; the caller has unmounted the rootfs. Idempotent. Raises Internal."""
        rootfs = self.rootfs(container_id)
        if os.path.ismount(rootfs):
            raise FailedPrecondition("the root file system is still mounted", where=rootfs)
        remove_tree(self.path(container_id))
        effect("bundle removed")
