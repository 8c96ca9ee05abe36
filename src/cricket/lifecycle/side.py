"""The engine's part of the side service: archives and the progress of pulls."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

from cricket.lifecycle.image_service import NativeImages
from cricket.types.image import Image, ImageConfig
from cricket.types.side import ImageProblem, LayerState, PullState


class Archives:
    """Images from and to files; each call is one hop to a thread."""

    def __init__(self, images: NativeImages) -> None:
        self._store = images.store

    async def load(self, path: str, name: str) -> Sequence[Image]:
        """See images/load.py."""
        from cricket.images.load import load

        return await asyncio.to_thread(load, self._store, path, name=name)

    async def save(self, names: Sequence[str], path: str, kind: str) -> None:
        """See images/save.py."""
        from cricket.images.save import save

        await asyncio.to_thread(save, self._store, names, path, kind)

    async def import_root(
        self, path: str, name: str, command: Sequence[str], env: Sequence[str], working_dir: str
    ) -> Image:
        """See images/import_rootfs.py."""
        from cricket.images.import_rootfs import import_rootfs

        config = ImageConfig(cmd=tuple(command), env=tuple(env), working_dir=working_dir)
        return await asyncio.to_thread(import_rootfs, self._store, path, name, config)

    async def check(self, repair: bool) -> Sequence[ImageProblem]:
        """See images/check.py."""
        from cricket.images.check import check

        found = await asyncio.to_thread(check, self._store.root, repair)
        if repair:
            await asyncio.to_thread(self._store.index.reload)
        return [ImageProblem(f.kind, f.subject, f.problem, f.outcome) for f in found]


class Pulls:
    """Progress of the pulls under way."""

    def __init__(self, images: NativeImages) -> None:
        self._pulls = images.pulls

    async def watch(self, reference: str) -> AsyncIterator[PullState]:
        """States until the pull ends; nothing when there is none."""
        async for progress in self._pulls.watch(reference):
            layers = tuple(LayerState(one.digest, one.size, one.received, one.state) for one in progress.layers)
            yield PullState(progress.reference, progress.stage, layers, progress.note)
