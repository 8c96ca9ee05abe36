"""One call at a time that lies ahead."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from cricket.kubelet.loop_records import SECOND


class Alarm:
    """Calls `ring` at the moment that was set last."""

    def __init__(self, ring: Callable[[], None]) -> None:
        self._ring = ring
        self._handle: asyncio.TimerHandle | None = None

    def set(self, at: int) -> None:
        """Ring at `at` (Unix ns) and not before; 0: not at all. Needs a running loop."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None
        if at:
            wait = max(0.0, (at - time.time_ns()) / SECOND)
            self._handle = asyncio.get_running_loop().call_later(wait, self._ring)
