"""What a container has changed in its root file system: found, packed, and put into another container.

The writable part of an overlay tells what changed; contents are read through the mount, because after a rename of a
directory they may still lie in the image's layers. Sources: the kernel's overlayfs.rst; OCI image-spec layer.md.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Collection, Iterator, Sequence
from typing import IO

import msgspec

from cricket.errors import DataLoss, InvalidArgument
from cricket.images.layers.adopt import adopt_implied
from cricket.images.layers.decompress import Chunks, Source
from cricket.images.layers.entries import EntryWriter, entry_errors
from cricket.images.layers.tar import TarReader
from cricket.images.layers.tree import OPAQUE_XATTR, Tree, clean, is_whiteout
from cricket.images.pack import add_path

_REDIRECT_XATTR = "trusted.overlay.redirect"


class Changes(msgspec.Struct, frozen=True):
    """Relative paths of new and changed files and directories, parents first, and absolute paths of deleted ones."""

    present: list[str]
    deleted: list[str]


def find_changes(upper: str, merged: str, lower: str, skip: Collection[str]) -> Changes:
    """Compare an overlay's writable directory with the image: `merged` is the overlay, `lower` the image alone.

    `skip` are relative paths (places of mounts) that are left out with everything below. Raises OSError.
    """
    found = Changes([], [])
    _compare("", upper, merged, lower, skip, found)
    return found


def _compare(below: str, upper: str, merged: str, lower: str, skip: Collection[str], found: Changes) -> None:
    with os.scandir(os.path.join(upper, below)) as entries:
        children = sorted(entries, key=lambda e: e.name)
    for child in children:
        path = os.path.join(below, child.name)
        if path in skip:
            continue
        if is_whiteout(child.stat(follow_symlinks=False)):
            # A whiteout may outlive what it hides.
            if os.path.lexists(os.path.join(lower, path)):
                found.deleted.append("/" + path)
            continue
        found.present.append(path)
        if not child.is_dir(follow_symlinks=False):
            continue
        if _stands_alone(child.path):
            # What the image has here does not show; what shows may come from elsewhere in the image.
            found.present.extend(_all_below(merged, path))
            found.deleted.extend("/" + p for p in _hidden(merged, lower, path))
        else:
            _compare(path, upper, merged, lower, skip, found)


def _stands_alone(directory: str) -> bool:
    return any(name in (OPAQUE_XATTR, _REDIRECT_XATTR) for name in os.listxattr(directory, follow_symlinks=False))


def _all_below(root: str, path: str) -> Iterator[str]:
    for directory, below, files in os.walk(os.path.join(root, path), onerror=_raise):
        below.sort()
        for name in sorted([*below, *files]):
            yield os.path.relpath(os.path.join(directory, name), root)


def _hidden(merged: str, lower: str, path: str) -> Iterator[str]:
    """What the image has below the directory `path` and the container has not."""
    here = os.path.join(lower, path)
    if os.path.islink(here) or not os.path.isdir(here):
        return
    for name in sorted(os.listdir(here)):
        below = os.path.join(path, name)
        if not os.path.lexists(os.path.join(merged, below)):
            yield below
        else:
            yield from _hidden(merged, lower, below)


def _raise(error: OSError) -> None:
    raise error


def pack_changes(merged: str, paths: Sequence[str], target: IO[bytes]) -> None:
    """Write the files at `paths` below `merged` as a tar archive, with owners, times, xattrs and hard links.

    Sockets are left out: CRIU makes those that are bound. Raises OSError.
    """
    import tarfile

    with tarfile.open(fileobj=target, mode="w", format=tarfile.PAX_FORMAT, encoding="utf-8") as tar:
        for path in paths:
            add_path(tar, os.path.join(merged, path), path)


def apply_changes(upper: str, lowers: Sequence[str], diff: Source | None, deleted: Sequence[str]) -> None:
    """Put changes into the empty writable directory of an overlay that is not mounted yet; blocks, needs root.

    `diff` is an archive, compressed or not, with or without whiteouts; `lowers` the image's layers, top first.
    Whatever the archive and `deleted` say, nothing outside of `upper` is touched. Raises DataLoss, InvalidArgument,
    ResourceExhausted, Internal; then a part is there.
    """
    top = os.stat(upper)
    with entry_errors(upper), Tree(upper) as tree:
        if diff is not None:
            _unpack(tree, diff)
        for path in deleted:
            _hide(tree, path)
        tree.finish()
        if tree.opaque_root:
            raise DataLoss("the changes of the root file system hide all of the image", where=upper)
        if b"" in tree.implied:
            os.chown(upper, top.st_uid, top.st_gid)
            os.chmod(upper, stat.S_IMODE(top.st_mode))
        adopt_implied(upper, sorted(tree.implied - {b""}), lowers)


def _unpack(tree: Tree, diff: Source) -> None:
    with Chunks(diff) as chunks:
        reader = TarReader(chunks.next)
        writer = EntryWriter(tree, reader)
        with entry_errors(reader):
            while (entry := reader.next()) is not None:
                writer.write(entry)


def _hide(tree: Tree, path: str) -> None:
    cleaned = clean(os.fsencode(path))
    if not cleaned or b"\0" in cleaned:
        raise InvalidArgument("a deleted file has an impossible name", where=path[:250])
    tree.parent(cleaned)
    try:
        tree.clear(cleaned)
    except FileNotFoundError:
        pass
    parent, name = tree.parent(cleaned)
    os.mknod(name, stat.S_IFCHR, 0, dir_fd=parent)
