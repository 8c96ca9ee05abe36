"""Files of an image archive by name: a directory or a tar, which may be compressed. Nothing is extracted by name."""

from __future__ import annotations

import contextlib
import io
import os
import posixpath
import stat
from collections.abc import Iterator
from typing import TYPE_CHECKING, Protocol

from cricket.errors import CricketError, DataLoss, Internal, NotFound, ResourceExhausted, map_errors
from cricket.images.content import write_errors
from cricket.images.layers.decompress import Source, compression, decompressed
from cricket.kernel import confined

if TYPE_CHECKING:
    import tarfile

_CHUNK = 1 << 20
_LINKS_MAX = 10


class Archive(Protocol):
    """Regular files by name."""

    def has(self, name: str) -> bool:
        """Whether there is such a file."""

    def open(self, name: str) -> io.BufferedIOBase:
        """The file; NotFound."""


def read(archive: Archive, name: str, limit: int = 8 << 20) -> bytes:
    """A small file; NotFound, ResourceExhausted when it is longer than `limit` bytes."""
    with archive.open(name) as f:
        data = f.read(limit + 1)
    if len(data) > limit:
        raise ResourceExhausted(f"a file of the archive is longer than {limit} bytes", where=name)
    return data


@contextlib.contextmanager
def open_archive(path: str, scratch: str) -> Iterator[Archive]:
    """The archive at `path`; a compressed one is decompressed into the directory `scratch` meanwhile.

    Raises NotFound, DataLoss when it is no archive, ResourceExhausted.
    """
    if not os.path.exists(path):
        raise NotFound("there is no such file or directory", where=path)
    if os.path.isdir(path):
        directory = _Directory(path)
        try:
            yield directory
        finally:
            directory.close()
        return
    with map_errors(OSError, Internal, "cannot read the archive", where=path), contextlib.ExitStack() as stack:
        file: io.BufferedIOBase = stack.enter_context(open(path, "rb"))
        head = file.read(6)
        file.seek(0)
        if compression(head):
            file = stack.enter_context(_decompress(file, scratch))
        yield _Tar(file, path)


def _decompress(file: io.BufferedIOBase, scratch: str) -> io.BufferedIOBase:
    """An unnamed copy, which goes away with its descriptor."""
    with write_errors(scratch):
        fd = os.open(scratch, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600)
        copy = open(fd, "w+b")  # noqa: SIM115 - the caller closes it
    try:
        for data in chunks(decompressed(file)):
            with write_errors(scratch):
                copy.write(data)
        copy.flush()
        copy.seek(0)
    except BaseException:
        copy.close()
        raise
    return copy


def chunks(source: Source) -> Iterator[bytes]:
    """A source in pieces; DataLoss when its compression is damaged."""
    while True:
        try:
            data = source.read(_CHUNK)
        except CricketError:
            raise
        except Exception as e:
            if isinstance(e, OSError) and e.errno is not None:
                raise
            raise DataLoss("the compressed data are damaged") from e
        if not data:
            return
        yield data


class _Directory:
    def __init__(self, path: str) -> None:
        self._path = path
        self._root = confined.open_root(path)

    def close(self) -> None:
        os.close(self._root)

    def has(self, name: str) -> bool:
        try:
            self.open(name).close()
        except NotFound:
            return False
        return True

    def open(self, name: str) -> io.BufferedIOBase:
        try:
            fd = confined.open_in_root(self._root, name, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)
        except (OSError, ValueError) as e:
            raise NotFound("the archive does not hold a file", where=f"{self._path}: {name}") from e
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            os.close(fd)
            raise NotFound("the archive holds no regular file of this name", where=f"{self._path}: {name}")
        return open(fd, "rb")


class _Tar:
    def __init__(self, file: io.BufferedIOBase, path: str) -> None:
        import tarfile

        self._path = path
        try:
            self._tar = tarfile.open(fileobj=file, mode="r:")  # noqa: SIM115 - it only borrows the file
            self._members = {posixpath.normpath(m.name): m for m in self._tar.getmembers()}
        except (tarfile.TarError, EOFError) as e:
            raise DataLoss("this is no tar archive, or it is damaged", where=path) from e

    def _find(self, name: str) -> tarfile.TarInfo | None:
        name = posixpath.normpath(name)
        for _ in range(_LINKS_MAX):
            member = self._members.get(name)
            if member is None or member.isreg():
                return member
            if member.issym():  # old `docker save` links equal layers
                name = posixpath.normpath(posixpath.join(posixpath.dirname(name), member.linkname))
            elif member.islnk():
                name = posixpath.normpath(member.linkname)
            else:
                return None
        return None

    def has(self, name: str) -> bool:
        return self._find(name) is not None

    def open(self, name: str) -> io.BufferedIOBase:
        member = self._find(name)
        file = self._tar.extractfile(member) if member is not None else None
        if file is None:
            raise NotFound("the archive does not hold a file", where=f"{self._path}: {name}")
        return file  # type: ignore[return-value]  # an ExFileObject is a BufferedReader
