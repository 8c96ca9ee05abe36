"""What the writable layers of containers take on disk: walked in a thread, told from memory.

A walk costs as much as the container has files. So each layer is walked again only after twenty times what its last
walk took: small ones at every request, and large ones never cost more than a twentieth of one processor.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable

import msgspec

from cricket.errors import CricketError
from cricket.types.image import FsUsage

_REST, _WAIT, _FIRST_WAIT = 20.0, 0.2, 2.0


class _Known(msgspec.Struct):
    """The last measurement; `due` is when the next is wanted, on the monotonic clock in seconds."""

    usage: FsUsage
    due: float


class LayerUsage:
    """Measurements by container id. Used from the event loop."""

    def __init__(self, measure: Callable[[str], FsUsage], clock: Callable[[], float] = time.monotonic) -> None:
        """`measure` walks the layer of a container; it may block and raise CricketError."""
        self._measure, self._clock = measure, clock
        self._known: dict[str, _Known] = {}
        self._wanted: dict[str, None] = {}
        self._task: asyncio.Task[None] | None = None

    def get(self, container_id: str) -> FsUsage | None:
        """The newest measurement, None before the first."""
        known = self._known.get(container_id)
        return None if known is None else known.usage

    def forget(self, container_id: str) -> None:
        """Idempotent."""
        self._known.pop(container_id, None)
        self._wanted.pop(container_id, None)

    async def refresh(self, container_ids: Iterable[str]) -> None:
        """Measure what is due; waits for a moment only, a little longer for what was never measured before."""
        now = self._clock()
        due = [i for i in container_ids if (known := self._known.get(i)) is None or known.due <= now]
        if not due:
            return
        self._wanted.update(dict.fromkeys(due))
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._work(), name="measure layers")
        new = any(i not in self._known for i in due)
        await asyncio.wait((self._task,), timeout=_FIRST_WAIT if new else _WAIT)

    async def _work(self) -> None:
        while self._wanted:
            batch = list(self._wanted)
            for container_id, known in (await asyncio.to_thread(self._walk, batch)).items():
                if container_id in self._wanted:
                    del self._wanted[container_id]
                    if known is not None:
                        self._known[container_id] = known

    def _walk(self, container_ids: list[str]) -> dict[str, _Known | None]:
        """In the thread: for a tenth of a second, but one at least."""
        found: dict[str, _Known | None] = {}
        began = self._clock()
        for container_id in container_ids:
            start = self._clock()
            try:
                usage = self._measure(container_id)
            except CricketError:
                found[container_id] = None
            else:
                end = self._clock()
                found[container_id] = _Known(usage, end + _REST * (end - start))
            if self._clock() - began > _WAIT / 2:
                break
        return found
