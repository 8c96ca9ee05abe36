"""Tasks that the daemon owns, and locks by object id."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
from collections.abc import AsyncIterator, Callable, Coroutine, Hashable
from typing import Any, TypeVar

T = TypeVar("T")


class Operations:
    """Runs verbs in tasks of the daemon: a caller that goes away stops waiting, and nothing else happens.

    A call with the key of a running operation joins it and gets the same outcome.
    """

    def __init__(self) -> None:
        self._running: dict[Hashable, asyncio.Task[Any]] = {}
        self._background: set[asyncio.Task[Any]] = set()

    async def join(self, key: Hashable, start: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """The result of the operation `key`, started now unless it is under way."""
        task = self._running.get(key)
        if task is None:
            task = asyncio.get_running_loop().create_task(start(), name=str(key))
            self._running[key] = task
            task.add_done_callback(lambda _: self._running.pop(key, None))
        result: T = await asyncio.shield(task)
        return result

    def background(self, work: Coroutine[Any, Any, object], name: str) -> asyncio.Task[Any]:
        """Start work that nobody waits for; it must handle its own errors."""
        # A fresh context: the stage tracker of the request that caused it must not be written to afterwards.
        task = asyncio.get_running_loop().create_task(work, name=name, context=contextvars.Context())
        self._background.add(task)
        task.add_done_callback(self._background.discard)
        return task

    async def drain(self, timeout: float) -> None:
        """Wait for everything under way, at most `timeout` seconds; what is left goes on in the next life."""
        tasks = {*self._running.values(), *self._background}
        if tasks:
            await asyncio.wait(tasks, timeout=timeout)


class Locks:
    """One lock per id, made when wanted and dropped when free. Never held while waiting for a container to exit."""

    def __init__(self) -> None:
        self._locks: dict[str, tuple[asyncio.Lock, int]] = {}

    @contextlib.asynccontextmanager
    async def hold(self, key: str) -> AsyncIterator[None]:
        """Hold the lock of `key`."""
        lock, users = self._locks.get(key) or (asyncio.Lock(), 0)
        self._locks[key] = (lock, users + 1)
        try:
            async with lock:
                yield
        finally:
            lock, users = self._locks[key]
            if users == 1:
                del self._locks[key]
            else:
                self._locks[key] = (lock, users - 1)
