"""Mounts as values: snapshotters emit them, the kernel room performs them, the OCI spec lists them."""

from __future__ import annotations

import msgspec


class Mount(msgspec.Struct, frozen=True, omit_defaults=True):
    """One mount to perform at a target chosen by the consumer.

    `type` is a file-system type ("overlay", "bind", "tmpfs"); `source` a path or a word; `options` as mount(8) spells
    them ("ro", "rbind", "lowerdir=a:b"). Lower directories of an overlay may also be given one by one in `lowers`
    (top first) with `upper` and `work`, so that many layers do not have to fit into one page of options.
    """

    type: str
    source: str
    options: tuple[str, ...] = ()
    lowers: tuple[str, ...] = ()
    upper: str = ""
    work: str = ""
