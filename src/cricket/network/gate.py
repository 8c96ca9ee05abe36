"""Who may run at once (CNI SPEC section 3, "Lifecycle & Ordering").

Different containers in parallel, one container one operation after another, and GC alone.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator


class Gate:
    """Lets operations on attachments in together, and GC when nobody else is in. GC that waits holds back newcomers."""

    def __init__(self) -> None:
        self._inside = 0
        self._closed = False
        self._changed = asyncio.Condition()
        self._locks: dict[str, tuple[asyncio.Lock, int]] = {}

    @contextlib.asynccontextmanager
    async def container(self, container_id: str) -> AsyncIterator[None]:
        """One operation on this container at a time, none during GC."""
        async with self._one(container_id):
            async with self._changed:
                await self._changed.wait_for(lambda: not self._closed)
                self._inside += 1
            try:
                yield
            finally:
                self._inside -= 1
                await self._tell()

    @contextlib.asynccontextmanager
    async def alone(self) -> AsyncIterator[None]:
        """Nothing else runs."""
        async with self._changed:
            await self._changed.wait_for(lambda: not self._closed)
            self._closed = True
        try:
            async with self._changed:
                await self._changed.wait_for(lambda: not self._inside)
            yield
        finally:
            self._closed = False
            await self._tell()

    async def _tell(self) -> None:
        # The state was changed before any await, so a cancellation here loses only a wake-up that shield delivers.
        async def notify() -> None:
            async with self._changed:
                self._changed.notify_all()

        await asyncio.shield(notify())

    @contextlib.asynccontextmanager
    async def _one(self, container_id: str) -> AsyncIterator[None]:
        lock, users = self._locks.get(container_id, (asyncio.Lock(), 0))
        self._locks[container_id] = (lock, users + 1)
        try:
            async with lock:
                yield
        finally:
            lock, users = self._locks[container_id]
            if users == 1:
                del self._locks[container_id]
            else:
                self._locks[container_id] = (lock, users - 1)
