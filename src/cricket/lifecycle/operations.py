"""Tasks that the daemon owns, and locks by object id."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import logging
from collections.abc import AsyncIterator, Callable, Coroutine, Hashable
from typing import Any, TypeVar

from cricket.types.stage import operation

log = logging.getLogger(__name__)
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
        # One that has just ended may still be listed: its outcome was of another moment.
        if task is None or task.done():
            name = " ".join(map(str, key)) if isinstance(key, tuple) else str(key)
            task = asyncio.get_running_loop().create_task(start(), name=name)
            self._running[key] = task
            task.add_done_callback(lambda done: self._ended(key, done))
        result: T = await asyncio.shield(task)
        return result

    def _ended(self, key: Hashable, task: asyncio.Task[Any]) -> None:
        if self._running.get(key) is task:
            del self._running[key]
        if not task.cancelled():
            task.exception()  # every caller may be gone: that is no reason to complain

    def background(self, work: Coroutine[Any, Any, object], what: str, object_id: str) -> asyncio.Task[Any]:
        """Start work that nobody waits for; `cricket why` shows it as `what`. It handles the errors that it expects."""
        # A fresh context: the stage tracker of the request that caused it must not be written to afterwards.
        context = contextvars.Context()
        task = asyncio.get_running_loop().create_task(_watched(work, what, object_id), name=what, context=context)
        self._background.add(task)
        task.add_done_callback(self._background.discard)
        return task

    def running(self) -> list[str]:
        """What is under way, for people."""
        return [task.get_name() for task in (*self._running.values(), *self._background) if not task.done()]

    async def drain(self, timeout: float) -> None:
        """Wait for everything under way, at most `timeout` seconds; what is left goes on in the next life."""
        tasks = {*self._running.values(), *self._background}
        if tasks:
            await asyncio.wait(tasks, timeout=timeout)


async def _watched(work: Coroutine[Any, Any, object], what: str, object_id: str) -> None:
    try:
        with operation(what, object_id):
            await work
    except Exception:
        log.exception("%s of %s failed; this is a bug", what, object_id)


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
