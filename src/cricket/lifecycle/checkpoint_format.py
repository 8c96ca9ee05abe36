"""The archive that container runtimes exchange: names of its members, and the documents in it.

The names are those of checkpointctl's metadata library, which CRI-O, containerd and Podman share:

    config.dump      ConfigDump: which container, which image     spec.dump     the OCI spec that it ran with
    checkpoint/      CRIU's images                                 bind.mounts   kinds of the sources of bind mounts
    rootfs-diff.tar  new and changed files of the root file system (containerd: a gzipped layer with whiteouts)
    deleted.files    JSON list of absolute paths                   dump.log, stats-dump   CRIU's own
    io.kubernetes.cri-o.LogPath, container.log   the container's log, as CRI-O and containerd name it
"""

from __future__ import annotations

import contextlib
import datetime
import errno
import posixpath
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Any, TypeVar

import msgspec

from cricket.errors import DataLoss, Internal, ResourceExhausted, map_errors

CONFIG_DUMP, SPEC_DUMP, BIND_MOUNTS = "config.dump", "spec.dump", "bind.mounts"
ROOTFS_DIFF, DELETED_FILES = "rootfs-diff.tar", "deleted.files"
DUMP_LOG, STATS_DUMP = "dump.log", "stats-dump"
CRIU_IMAGES = "checkpoint"
LOG, CONTAINERD_LOG = "io.kubernetes.cri-o.LogPath", "container.log"

DOCUMENT_LIMIT = 8 << 20
_NO_TIME = "0001-01-01T00:00:00Z"
_NAMES = {
    "rootfs_image": "rootfsImage",
    "rootfs_image_ref": "rootfsImageRef",
    "rootfs_image_name": "rootfsImageName",
    "created_time": "createdTime",
    "checkpointed_time": "checkpointedTime",
    "restored_time": "restoredTime",
}

JsonDict = dict[str, Any]
T = TypeVar("T")


class ConfigDump(msgspec.Struct, frozen=True, rename=_NAMES):
    """config.dump. Times are RFC 3339.

    `rootfs_image` is what the user asked for, `rootfs_image_name` a full reference, `rootfs_image_ref` the image's id
    (CRI-O: without "sha256:") or digest reference (containerd).
    """

    id: str
    name: str = ""
    rootfs_image: str = ""
    rootfs_image_ref: str = ""
    rootfs_image_name: str = ""
    runtime: str = ""
    created_time: str = _NO_TIME
    checkpointed_time: str = _NO_TIME
    restored_time: str = _NO_TIME
    restored: bool = False


class SpecMount(msgspec.Struct, frozen=True):
    """One of the `mounts` of spec.dump."""

    destination: str
    type: str = ""
    source: str = ""
    options: list[str] | None = None

    @property
    def is_bind(self) -> bool:
        """Whether its source lies outside of the container; CRIU must be told of those at a restore."""
        return self.type == "bind" or not {"bind", "rbind"}.isdisjoint(self.options or ())

    @property
    def place(self) -> str:
        """The destination in one spelling."""
        return posixpath.normpath("/" + self.destination.lstrip("/"))


class SpecDump(msgspec.Struct, frozen=True):
    """What a restore needs of spec.dump."""

    mounts: list[SpecMount] | None = None


class Documents(msgspec.Struct, frozen=True):
    """What an archive says of its container."""

    config: ConfigDump
    spec: SpecDump


def decode_documents(config: bytes, spec: bytes, where: str) -> Documents:
    """Decode config.dump and spec.dump. Raises DataLoss."""
    return Documents(_decode(config, ConfigDump, CONFIG_DUMP, where), _decode(spec, SpecDump, SPEC_DUMP, where))


def decode_deleted(data: bytes, where: str) -> list[str]:
    """Decode deleted.files (null stands for none). Raises DataLoss."""
    with _malformed(DELETED_FILES, where):
        return msgspec.json.decode(data, type=list[str] | None) or []


def _decode(data: bytes, kind: type[T], name: str, where: str) -> T:
    with _malformed(name, where):
        return msgspec.json.decode(data, type=kind)


def _malformed(name: str, where: str) -> AbstractContextManager[None]:
    errors = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
    return map_errors(errors, DataLoss, f"{name} of the checkpoint is malformed", where=where)


def rfc3339(nanoseconds: int) -> str:
    """Unix nanoseconds as RFC 3339 in UTC."""
    seconds, nanos = divmod(nanoseconds, 10**9)
    moment = datetime.datetime.fromtimestamp(seconds, datetime.UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{nanos:09d}Z"


@contextlib.contextmanager
def disk_errors(what: str, where: str) -> Iterator[None]:
    """Map OSError: a full disk to ResourceExhausted, the rest to Internal."""
    try:
        yield
    except OSError as e:
        if e.errno in (errno.ENOSPC, errno.EDQUOT):
            raise ResourceExhausted(f"{what}: the disk is full", where=where) from e
        raise Internal(what, where=where) from e
