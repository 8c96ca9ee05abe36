"""The periodic sweep: what a death in the middle of a pull or a removal has left, and partial downloads given up."""

from __future__ import annotations

import asyncio
import contextlib
import logging

from cricket.config.model import Images
from cricket.errors import CricketError
from cricket.images.store import ImageStore

_log = logging.getLogger(__name__)
_LOOK_AGAIN = 600.0


class Sweep:
    """Collects garbage once at the start and then every `gc_interval` seconds. `config` may be replaced at any time."""

    def __init__(self, store: ImageStore, config: Images) -> None:
        self._store, self.config = store, config
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin; the first sweep goes on beside whatever the daemon serves."""
        self._task = asyncio.create_task(self._run(), name="image sweep")

    async def stop(self) -> None:
        """Stop, when a sweep that is under way has ended. Idempotent."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    async def _run(self) -> None:
        await self._sweep()
        while True:
            # Without an interval, too: a reload may give one.
            await asyncio.sleep(self.config.gc_interval or _LOOK_AGAIN)
            if self.config.gc_interval:
                await self._sweep()

    async def _sweep(self) -> None:
        work = asyncio.ensure_future(self._store.collect(min_age=self.config.gc_min_age))
        try:
            collected = await asyncio.shield(work)
        except asyncio.CancelledError:
            await asyncio.wait([work])  # its thread uses the store, which is closed next
            raise
        except CricketError as e:
            _log.warning("the image store could not be swept: %s", e)
            return
        if collected.blobs or collected.layers:
            count, mib = len(collected.blobs) + len(collected.layers), collected.freed_bytes >> 20
            _log.info("swept %d blobs and layers that no image uses, %d MiB", count, mib)
