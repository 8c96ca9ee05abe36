"""The progress of the pulls that an agent in this process has asked for, from Cricket's side service."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from typing import Any

from cricket.cli import progress
from cricket.cli.podscreen import LiveView
from cricket.client.connection import Client
from cricket.errors import CricketError

_PAUSE = 0.1


class Pulls:
    """Draws the layers of images while they are pulled, where there is a terminal. Other runtimes tell nothing."""

    def __init__(self, endpoint: str, view: LiveView) -> None:
        self._endpoint, self._view = endpoint, view
        self._loop = asyncio.get_running_loop()
        self._states: dict[str, Any] = {}
        self._over: dict[str, threading.Event] = {}

    def begin(self, reference: str) -> None:
        """A pull has begun. Idempotent."""
        if self._view.live and reference not in self._over:
            over = self._over[reference] = threading.Event()
            threading.Thread(target=self._watch, args=(reference, over), daemon=True).start()

    def end(self, reference: str) -> None:
        """It has ended; its lines go. Idempotent."""
        if over := self._over.pop(reference, None):
            over.set()
            self._states.pop(reference, None)
            self._draw()

    def close(self) -> None:
        """All have ended."""
        for reference in list(self._over):
            self.end(reference)

    def _watch(self, reference: str, over: threading.Event) -> None:
        """Runs beside the loop. The service knows a pull only once it has begun, so the question may come early."""
        with contextlib.suppress(CricketError), Client(self._endpoint) as client:
            while not over.is_set():
                with (
                    contextlib.suppress(CricketError),
                    client.stream("PullProgress", reference=reference) as states,
                ):
                    for state in states:
                        if over.is_set():
                            return
                        self._loop.call_soon_threadsafe(self._told, reference, state)
                over.wait(_PAUSE)

    def _told(self, reference: str, state: Any) -> None:
        if reference in self._over:
            self._states[reference] = state
            self._draw()

    def _draw(self) -> None:
        columns = self._view.columns()
        self._view.show([line for state in self._states.values() for line in progress.lines(state, columns)])
