"""Applying a layer: one pass from archive to directory, confined to that directory, overlayfs whiteouts in place.

Sources: OCI image-spec layer.md ("Applying Changesets", "Whiteouts"); the kernel's overlayfs.rst.
"""

from __future__ import annotations

import msgspec

from cricket.errors import DataLoss
from cricket.images.layers.decompress import Chunks, Source
from cricket.images.layers.entries import EntryWriter, entry_errors
from cricket.images.layers.tar import TarReader
from cricket.images.layers.tree import Tree
from cricket.images.usage import disk_usage


class ApplyResult(msgspec.Struct, frozen=True):
    """What a layer came to.

    `diff_id` is the digest of the uncompressed archive; `size_bytes` what the files take on disk (whole blocks of
    4096), `inodes` how many there are below the top. `implied` are directories that the archive did not list but
    needed ("" is the top): in the image they look as in the layers below. With `opaque_root` nothing below this layer
    shows.
    """

    diff_id: str
    size_bytes: int
    inodes: int
    implied: tuple[bytes, ...] = ()
    opaque_root: bool = False


def apply_layer(source: Source, target_dir: str) -> ApplyResult:
    """Unpack the layer `source` into the empty directory `target_dir`; blocks until done, needs root.

    The compression is sniffed from the first bytes. Owners, modes, times, xattrs, links, devices and fifos are kept;
    whiteouts become what overlayfs expects (`trusted.overlay.*` xattrs of the archive itself are dropped). Whatever
    the archive says, nothing outside of `target_dir` is read or written. After an error the directory holds a part.
    Raises DataLoss (damaged, cut short, or refused), ResourceExhausted (disk full), Internal.
    """
    with Chunks(source) as chunks, entry_errors(target_dir), Tree(target_dir) as tree:
        reader = TarReader(chunks.next)
        writer = EntryWriter(tree, reader)
        with entry_errors(reader):
            while (entry := reader.next()) is not None:
                writer.write(entry)
            tree.finish()
            reader.drain()
        size_bytes, inodes = writer.size_bytes + 4096 * tree.made, writer.inodes + tree.made
        if tree.recount:  # entries replaced others, or led through symlinks: rare, so it is counted afterwards
            usage = disk_usage(target_dir)
            size_bytes, inodes = usage.used_bytes, usage.inodes - 1
        return ApplyResult(
            diff_id=chunks.digest,
            size_bytes=size_bytes,
            inodes=inodes,
            implied=tuple(sorted(tree.implied)),
            opaque_root=tree.opaque_root,
        )


def apply_verified(source: Source, target_dir: str, diff_id: str) -> ApplyResult:
    """`apply_layer`, and DataLoss when the layer is not the one with `diff_id`."""
    result = apply_layer(source, target_dir)
    if result.diff_id != diff_id:
        raise DataLoss(f"a layer unpacked to {result.diff_id}, not to what the image says", where=diff_id)
    return result
