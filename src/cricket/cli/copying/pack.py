"""The files of a tree as entries."""

from __future__ import annotations

import os
import stat
import tarfile
from collections.abc import Callable, Iterator

from cricket.cli.copying.entries import Entry
from cricket.cli.copying.tree import Place, Tree

_LONGEST = 200
"""Directories in each other: each one is an open file."""


def pack(tree: Tree, path: str, *, follow: bool, skipped: Callable[[str], None]) -> Iterator[Entry]:
    """What is at `path`, directories before what they hold. Sockets, pipes and devices are told to `skipped`.

    Raises OSError. What goes away while it is copied is left out.
    """
    with tree.find(path, follow=follow) as place:
        if place.fd < 0:
            raise FileNotFoundError(2, os.strerror(2), path)
        yield from _Packing(skipped).one(place, "", 0)


class _Packing:
    def __init__(self, skipped: Callable[[str], None]) -> None:
        self._skipped = skipped
        self._seen: dict[tuple[int, int], str] = {}

    def one(self, place: Place, name: str, depth: int) -> Iterator[Entry]:
        found = place.stat
        assert found is not None
        info = tarfile.TarInfo(name)
        info.mode, info.uid, info.gid = stat.S_IMODE(found.st_mode), found.st_uid, found.st_gid
        info.mtime = found.st_mtime
        if stat.S_ISDIR(found.st_mode):
            info.type = tarfile.DIRTYPE
            yield Entry(info)
            yield from self._inside(place, name, depth)
        elif stat.S_ISLNK(found.st_mode):
            info.type, info.linkname = tarfile.SYMTYPE, os.readlink("", dir_fd=place.fd)
            yield Entry(info)
        elif stat.S_ISREG(found.st_mode):
            yield from self._file(place, info, found)
        else:
            self._skipped(place.path)

    def _file(self, place: Place, info: tarfile.TarInfo, found: os.stat_result) -> Iterator[Entry]:
        key = found.st_dev, found.st_ino
        if found.st_nlink > 1 and key in self._seen:
            info.type, info.linkname = tarfile.LNKTYPE, self._seen[key]
            yield Entry(info)
            return
        with open(place.reopen(os.O_RDONLY | os.O_NONBLOCK), "rb", buffering=0) as file:
            info.size = os.fstat(file.fileno()).st_size
            self._seen[key] = info.name
            yield Entry(info, file)

    def _inside(self, place: Place, name: str, depth: int) -> Iterator[Entry]:
        if depth > _LONGEST:
            raise OSError(40, "too many directories in each other", place.path)
        directory = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=place.fd)
        try:
            names = sorted(os.listdir(directory))
        finally:
            os.close(directory)
        for inner in names:
            try:
                fd = os.open(inner, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=place.fd)
            except FileNotFoundError:
                continue
            with Place(-1, inner, fd, f"{place.path.rstrip('/')}/{inner}") as entry:
                yield from self.one(entry, f"{name}/{inner}" if name else inner, depth + 1)
