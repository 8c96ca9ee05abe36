"""Parsing /proc/self/mountinfo (proc_pid_mountinfo(5)): only the lines of interest; the propagation of a path."""

from __future__ import annotations

import os
from collections.abc import Iterator
from enum import StrEnum

import msgspec

from cricket.errors import Internal, NotFound, map_errors

SELF = "/proc/self/mountinfo"


class Propagation(StrEnum):
    """How mount events travel (mount_namespaces(7)). A mount that is both shared and slave counts as shared."""

    PRIVATE = "private"
    SHARED = "shared"
    SLAVE = "slave"
    UNBINDABLE = "unbindable"


class MountEntry(msgspec.Struct, frozen=True):
    """One mount: `root` is the directory of the file system that is seen at `point`; options as the kernel gives them.

    `options` belong to the mount, `super_options` to the file system; `device` is "major:minor".
    """

    id: int
    parent: int
    device: str
    root: str
    point: str
    options: tuple[str, ...]
    propagation: Propagation
    fstype: str
    source: str
    super_options: tuple[str, ...]


def mounts(prefix: str = "", *, fstypes: tuple[str, ...] = (), path: str = SELF) -> list[MountEntry]:
    """The mounts at or below directory `prefix` whose type is one of `fstypes` (empty: any), in mount order.

    Raises Internal when the file cannot be read. Lines that do not matter are not parsed.
    """
    prefix = prefix.rstrip("/")
    return [_parse(line) for line in _lines(path) if _wanted(line, prefix, fstypes)]


def mount_of(file: str, *, path: str = SELF) -> MountEntry:
    """The mount that holds `file` (symbolic links are followed): the last one at its longest prefix.

    Raises NotFound when `file` does not exist.
    """
    with map_errors(OSError, NotFound, "cannot resolve a path", where=file):
        real = os.path.realpath(file, strict=True)
    best = ""
    length = -1
    for line in _lines(path):
        point = _unescape(line.split(" ", 5)[4])
        if _within(real, point) and len(point) >= length:
            best, length = line, len(point)
    if not best:
        raise NotFound("no mount holds the path", where=file)
    return _parse(best)


def propagation_of(file: str, *, path: str = SELF) -> Propagation:
    """The propagation of the mount that holds `file`. Raises NotFound when `file` does not exist."""
    return mount_of(file, path=path).propagation


def _lines(path: str) -> Iterator[str]:
    with (
        map_errors(OSError, Internal, "cannot read the mount table", where=path),
        open(path, encoding="utf-8", errors="surrogateescape", newline="\n") as f,
    ):
        # One read, not line by line: the kernel then gives one consistent picture for all but very long tables.
        text = f.read()
    return iter(text.rstrip("\n").split("\n"))


def _wanted(line: str, prefix: str, fstypes: tuple[str, ...]) -> bool:
    if fstypes and line.partition(" - ")[2].split(" ", 1)[0] not in fstypes:
        return False
    return not prefix or _within(_unescape(line.split(" ", 5)[4]), prefix)


def _within(path: str, directory: str) -> bool:
    return path == directory or path.startswith(directory.rstrip("/") + "/")


def _parse(line: str) -> MountEntry:
    left, _, right = line.partition(" - ")
    number, parent, device, root, point, options, *tags = left.split(" ")
    fstype, source, super_options = right.split(" ", 2)
    return MountEntry(
        int(number),
        int(parent),
        device,
        _unescape(root),
        _unescape(point),
        tuple(options.split(",")),
        _propagation(tags),
        fstype,
        _unescape(source),
        tuple(super_options.split(",")),
    )


def _propagation(tags: list[str]) -> Propagation:
    kinds = {tag.partition(":")[0] for tag in tags}
    if "shared" in kinds:
        return Propagation.SHARED
    if "master" in kinds:
        return Propagation.SLAVE
    return Propagation.UNBINDABLE if "unbindable" in kinds else Propagation.PRIVATE


def _unescape(text: str) -> str:
    """Undo the kernel's octal escapes of white space, backslash and '#'."""
    if "\\" not in text:
        return text
    head, *rest = text.split("\\")
    return head + "".join(chr(int(part[:3], 8)) + part[3:] for part in rest)
