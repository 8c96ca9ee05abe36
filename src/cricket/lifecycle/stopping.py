"""A stop that is under way, shared by all who asked for it."""

from __future__ import annotations

import asyncio


class Stopping:
    """A stop under way and its deadline (time of the event loop, in seconds)."""

    def __init__(self, deadline: float) -> None:
        self.deadline = deadline
        self.shorter = asyncio.Event()

    def shorten(self, deadline: float) -> None:
        """Another caller is less patient."""
        if deadline < self.deadline:
            self.deadline = deadline
            self.shorter.set()
