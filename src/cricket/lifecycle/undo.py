"""Undo: steps pushed before their effect, run in reverse when the verb fails."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable
from types import TracebackType

log = logging.getLogger(__name__)

Step = Callable[[], Awaitable[object] | object]


class Undo:
    """An async context manager. Unless `commit` was called, every step runs, last first, whatever the others do.

    A step must be idempotent and cope with an effect that never happened. Cancellation does not stop the undoing.
    """

    def __init__(self) -> None:
        self._steps: list[tuple[str, Step]] = []

    def push(self, what: str, step: Step) -> None:
        """Register how to undo what is about to be done; `what` is for the log."""
        self._steps.append((what, step))

    def commit(self) -> None:
        """The verb has succeeded: forget all steps."""
        self._steps.clear()

    async def __aenter__(self) -> Undo:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, e: BaseException | None, tb: TracebackType | None
    ) -> None:
        if not self._steps:
            return
        task, cancelled = asyncio.ensure_future(self._run()), None
        # To its end, however often the verb is cancelled meanwhile: the locks that it holds guard the undoing, too.
        while not task.done():
            try:
                await asyncio.wait((task,))
            except asyncio.CancelledError as error:
                cancelled = error
        if cancelled is not None:
            raise cancelled

    async def _run(self) -> None:
        while self._steps:
            what, step = self._steps.pop()
            try:
                result = step()
                if inspect.isawaitable(result):
                    await result
            except Exception as e:
                # The verb's own error is on its way to the caller; recovery at the next start tries this step again.
                log.error("undo: cannot %s: %s", what, e)
