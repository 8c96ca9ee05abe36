"""Unpacking an image's layers from the content store into snapshots."""

from __future__ import annotations

from collections.abc import Sequence

from cricket.errors import DataLoss
from cricket.images.chain import chain_ids
from cricket.images.content import ContentStore
from cricket.images.layers import apply_layer
from cricket.images.layers.decompress import Source
from cricket.images.snapshots import Snapshots


def unpack_layer(snapshots: Snapshots, source: Source, diff_id: str, chain_id: str, parent: str) -> None:
    """Unpack one layer from any source and commit it on top of `parent` (a chain id, "" for none).

    Nothing happens when it is there already (the source is not read). Raises DataLoss when it is not the layer with
    `diff_id`, and what apply_layer raises; then nothing is left of it.
    """
    if snapshots.has(chain_id):
        return
    with snapshots.new_layer(chain_id, parent, diff_id) as layer:
        layer.commit(apply_layer(source, layer.path))


def unpack_blobs(content: ContentStore, snapshots: Snapshots, layers: Sequence[str], diff_ids: Sequence[str]) -> None:
    """Unpack a whole stack, bottom first, from blobs in the store; what is there already is skipped.

    Blocks until done. Raises NotFound when a blob is missing, and as `unpack_layer`.
    """
    if len(layers) != len(diff_ids):
        raise DataLoss(f"an image has {len(layers)} layers but {len(diff_ids)} diff ids")
    parent = ""
    for digest, diff_id, chain in zip(layers, diff_ids, chain_ids(diff_ids), strict=True):
        if not snapshots.has(chain):
            with content.open_reader(digest) as source:
                unpack_layer(snapshots, source, diff_id, chain, parent)
        parent = chain
