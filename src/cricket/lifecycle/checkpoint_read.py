"""Reading checkpoint archives, which may come from anywhere: tar files, and layers of checkpoint images.

Only known members count, each as a regular file; everything is written below one directory of ours, under names that we
choose or that hold no slash.
"""

from __future__ import annotations

import contextlib
import io
import os
import stat
from collections.abc import Callable, Generator
from typing import Protocol

import msgspec

from cricket.errors import DataLoss, InvalidArgument, NotFound, map_errors
from cricket.images.layers import tar
from cricket.images.layers.decompress import Chunks
from cricket.images.layers.tar import TarReader
from cricket.images.layers.tree import clean
from cricket.lifecycle import checkpoint_format as form
from cricket.lifecycle.checkpoint_format import Documents, decode_deleted, decode_documents

_IMAGES_MAX = 100_000
_INVENTORY = "inventory.img"
# Under these names members other than CRIU's images are kept beside them; CRIU's own never look like this.
KEPT_DIFF, KEPT_LOG = ".rootfs-diff", ".container-log"
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class Member:
    """A file of an archive; valid until the next one is asked for. `regular` is false for links, devices and the like.

    `read(limit)` and `copy_to(fd)` raise DataLoss.
    """

    def __init__(self, name: str, regular: bool, read: Callable[[int], bytes], copy_to: Callable[[int], None]) -> None:
        self.name, self.regular, self.read, self.copy_to = name, regular, read, copy_to


class Archive(Protocol):
    """Where a checkpoint is."""

    where: str

    def members(self) -> Generator[Member, None, None]:
        """All members but directories, in the archive's order, by cleaned relative names."""


class TarArchive:
    """A tar file, compressed or not."""

    def __init__(self, path: str) -> None:
        self.where = path

    def members(self) -> Generator[Member, None, None]:
        """See Archive. Raises NotFound, InvalidArgument (no regular file), DataLoss."""
        with _open_file(self.where) as file, Chunks(file) as chunks:
            reader = TarReader(chunks.next)
            while (entry := reader.next()) is not None:
                if entry.type == tar.DIRECTORY:
                    continue
                regular = entry.type == tar.REGULAR and entry.segments is None
                yield Member(os.fsdecode(clean(entry.name)), regular, reader.read, reader.copy_to)


def _open_file(path: str) -> io.FileIO:
    with map_errors(OSError, InvalidArgument, "the checkpoint archive cannot be opened", where=path):
        try:
            # Non-blocking: a pipe must not hold us.
            fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
        except FileNotFoundError:
            raise NotFound("there is no such checkpoint archive", where=path) from None
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise InvalidArgument("a checkpoint archive is a regular file", where=path)
    return io.FileIO(fd, "rb")


class DirectoryArchive:
    """An unpacked archive: the layer of a checkpoint image."""

    def __init__(self, path: str, where: str) -> None:
        self.path, self.where = os.path.realpath(path), where

    def members(self) -> Generator[Member, None, None]:
        """See Archive. Raises DataLoss."""
        for below in ("", form.CRIU_IMAGES):
            with map_errors(OSError, DataLoss, "the layer of a checkpoint image cannot be read", where=self.where):
                directory = os.path.join(self.path, below)
                if os.path.islink(directory) or not os.path.isdir(directory):
                    continue
                names = sorted(os.listdir(directory))
            for name in names:
                if not os.path.isdir(os.path.join(directory, name)):
                    yield self._member(os.path.join(below, name))

    def _member(self, name: str) -> Member:
        path = os.path.join(self.path, name)
        regular = stat.S_ISREG(os.lstat(path).st_mode)

        def read(limit: int) -> bytes:
            with io.FileIO(path, opener=_no_links) as file:
                data = file.read(limit + 1) or b""
            if len(data) > limit:
                raise DataLoss(f"a member is longer than the {limit} bytes allowed here", where=f"{self.where}: {name}")
            return data

        def copy_to(fd: int) -> None:
            with io.FileIO(path, opener=_no_links) as file:
                while os.sendfile(fd, file.fileno(), None, 1 << 30):
                    pass

        return Member(name, regular, read, copy_to)


def _no_links(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC)


def read_documents(archive: Archive) -> Documents:
    """config.dump and spec.dump; reads no further than needed. Blocks.

    Raises NotFound, InvalidArgument when this is no checkpoint, DataLoss when it is a damaged one.
    """
    found: dict[str, bytes] = {}
    wanted = {form.CONFIG_DUMP, form.SPEC_DUMP}
    with (
        contextlib.closing(archive.members()) as members,
        form.disk_errors("the checkpoint cannot be read", archive.where),
    ):
        for member in members:
            if member.name in wanted:
                found[member.name] = _regular(archive, member).read(form.DOCUMENT_LIMIT)
                wanted.discard(member.name)
                if not wanted:
                    break
    if wanted:
        missing = " and ".join(sorted(wanted))
        raise InvalidArgument(f"this is no checkpoint of a container: it holds no {missing}", where=archive.where)
    return decode_documents(found[form.CONFIG_DUMP], found[form.SPEC_DUMP], archive.where)


class Unpacked(msgspec.Struct, frozen=True):
    """What `unpack` found: paths of the kept diff and log ("" for none), and deleted files."""

    diff: str = ""
    log: str = ""
    deleted: tuple[str, ...] = ()


def unpack(archive: Archive, target: str) -> Unpacked:
    """Write CRIU's images, the rootfs diff and the log into the existing empty directory `target`. Blocks.

    Raises DataLoss (damaged, incomplete, or with members that no runtime writes), ResourceExhausted, Internal; then a
    part is there.
    """
    unpacked, images = Unpacked(), 0
    with (
        contextlib.closing(archive.members()) as members,
        form.disk_errors("the checkpoint cannot be unpacked", archive.where),
    ):
        for member in members:
            head, _, name = member.name.rpartition("/")
            if head == form.CRIU_IMAGES:
                images += 1
                if images > _IMAGES_MAX or name.startswith("."):
                    raise DataLoss("the checkpoint holds files that CRIU does not write", where=archive.where)
                _write(archive, member, target, name)
            elif member.name == form.ROOTFS_DIFF:
                unpacked = msgspec.structs.replace(unpacked, diff=_write(archive, member, target, KEPT_DIFF))
            elif member.name in (form.LOG, form.CONTAINERD_LOG):
                unpacked = msgspec.structs.replace(unpacked, log=_write(archive, member, target, KEPT_LOG))
            elif member.name == form.DELETED_FILES:
                deleted = decode_deleted(_regular(archive, member).read(form.DOCUMENT_LIMIT), archive.where)
                unpacked = msgspec.structs.replace(unpacked, deleted=tuple(deleted))
    if not os.path.exists(os.path.join(target, _INVENTORY)):
        missing = f"{form.CRIU_IMAGES}/{_INVENTORY}"
        raise DataLoss(f"the checkpoint is not complete: it holds no {missing}", where=archive.where)
    return unpacked


def _regular(archive: Archive, member: Member) -> Member:
    if not member.regular:
        raise DataLoss(f"{member.name!r} of the checkpoint is no plain file", where=archive.where)
    return member


def _write(archive: Archive, member: Member, target: str, name: str) -> str:
    path = os.path.join(target, name)
    _regular(archive, member)
    try:
        fd = os.open(path, _NEW, 0o600)
    except FileExistsError as e:
        raise DataLoss(f"the checkpoint holds {member.name!r} twice", where=archive.where) from e
    try:
        member.copy_to(fd)
    finally:
        os.close(fd)
    return path
