"""What travels: the files of a tree, one after the other, as tar knows them.

Names are relative to the top of what is copied; "" is the top itself.
"""

from __future__ import annotations

import tarfile
from collections.abc import Iterable, Iterator
from typing import IO, Any, NamedTuple

from cricket.errors import Internal, PermissionDenied

CHUNK = 1 << 20


class Entry(NamedTuple):
    """A file, directory or link; `data` holds the content of a file and is good until the next entry is asked for."""

    info: tarfile.TarInfo
    data: IO[bytes] | None = None


def normal(name: str) -> str:
    """A name of an archive as a relative path. Raises PermissionDenied for one that leads out."""
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if ".." in parts or "\0" in name:
        raise PermissionDenied("the archive has a path that leads out of it", where=name)
    return "/".join(parts)


def below(name: str, top: str) -> str:
    """A relative path, seen from `top`. Raises PermissionDenied when it is not below."""
    if not top or name == top:
        return "" if name == top else name
    if not name.startswith(f"{top}/"):
        raise PermissionDenied("the archive has something that was not asked for", where=name)
    return name[len(top) + 1 :]


def from_tar(archive: tarfile.TarFile, top: str = "") -> Iterator[Entry]:
    """The entries of an archive of `top`. Raises Internal for what is no archive or ends early."""
    try:
        for info in archive:
            info.name = below(normal(info.name), top)
            if info.islnk():
                info.linkname = below(normal(info.linkname), top)
            _forget(archive)
            yield Entry(info, archive.extractfile(info) if info.isreg() else None)
    except (tarfile.TarError, EOFError, UnicodeError) as error:
        raise Internal("the archive is broken or ends early") from error


def to_tar(archive: tarfile.TarFile, entries: Iterable[Entry]) -> None:
    """Write entries to an archive."""
    for info, data in entries:
        archive.addfile(info, data)
        _forget(archive)


def _forget(archive: Any) -> None:
    """tarfile keeps every member that it saw; streams have any length."""
    archive.members = []


def renamed(entries: Iterable[Entry], top: str) -> Iterator[Entry]:
    """The same below `top`; for "" without the top itself: a directory that is there keeps its own mode."""
    for entry in entries:
        info = entry.info
        if not top and not info.name:
            continue
        info.name = f"{top}/{info.name}".strip("/")
        if info.islnk():
            info.linkname = f"{top}/{info.linkname}".strip("/")
        yield entry


def disowned(entries: Iterable[Entry]) -> Iterator[Entry]:
    """The same as root's, without the set-id bits that would now mean root."""
    for entry in entries:
        info = entry.info
        info.uid = info.gid = 0
        info.mode &= 0o1777 if info.isdir() else 0o777
        yield entry


def nameless(entries: Iterable[Entry]) -> Iterator[Entry]:
    """The same with owners as numbers: names mean others elsewhere."""
    for entry in entries:
        entry.info.uname = entry.info.gname = ""
        yield entry
