"""Images that nobody uses go when the disk fills up or when they are too old (images/image_gc_manager.go).

Of a runtime that others use too, only images are removed that were seen unused for a while, and never pinned ones. The
age limit is off unless asked for.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterable

import msgspec

from cricket.client.errors import RemoteError
from cricket.kubelet.worker_parts import Parts

log = logging.getLogger("cricket.kubelet")


class Unused(msgspec.Struct, frozen=True):
    """An image that no container uses: since when we know it, and when it was last used (monotonic seconds)."""

    id: str
    size: int
    first_seen: float
    last_used: float


def victims(unused: Iterable[Unused], now: float, *, free: int, min_age: float, unused_age: float) -> list[str]:
    """The ids of the images to remove: all that were unused for `unused_age` seconds (0: no such limit), and of the
    others as many, longest unused first, as free `free` bytes; none that we know for less than `min_age`."""
    known = [image for image in unused if now - image.first_seen >= min_age]
    known.sort(key=lambda image: (image.last_used, image.first_seen))
    gone = []
    for image in known:
        old = unused_age and now - max(image.last_used, image.first_seen) >= unused_age
        if old or free > 0:
            gone.append(image.id)
            free -= image.size
    return gone


class ImageCollector:
    """Remembers when images were used, and removes them."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._seen: dict[str, float] = {}
        self._used: dict[str, float] = {}

    async def collect(self) -> None:
        """Look once; remove what has to go. Raises RemoteError when the runtime does not answer."""
        cri, settings, now = self._parts.cri, self._parts.settings, time.monotonic()
        images = (await cri.call("ListImages")).images
        containers = (await cri.call("ListContainers")).containers
        used = {name for c in containers for name in (c.image_id, c.image_ref, c.image.image) if name}
        self._seen = {image.id: self._seen.get(image.id, now) for image in images}
        unused = []
        for image in images:
            if image.pinned or used & {image.id, *image.repo_tags, *image.repo_digests}:
                self._used[image.id] = now
            else:
                last = self._used.get(image.id, 0.0)
                unused.append(Unused(image.id, image.size, self._seen[image.id], last))
        free = await self._excess()
        limits = {"min_age": settings.image_min_age, "unused_age": settings.image_unused_age}
        for image_id in victims(unused, now, free=free, **limits):
            try:
                await cri.call("RemoveImage", image={"image": image_id})
            except RemoteError as error:
                log.warning("the image %s cannot be removed: %s", image_id, error)

    async def _excess(self) -> int:
        """Bytes to free on the fullest image disk that is above its limit."""
        settings, most = self._parts.settings, 0
        for usage in (await self._parts.cri.call("ImageFsInfo")).image_filesystems:
            try:
                disk = os.statvfs(usage.fs_id.mountpoint)
            except OSError:
                continue
            total, free = disk.f_blocks * disk.f_frsize, disk.f_bavail * disk.f_frsize
            if total and (total - free) * 100 >= settings.image_gc_high * total:
                most = max(most, total * (100 - settings.image_gc_low) // 100 - free)
        return most
