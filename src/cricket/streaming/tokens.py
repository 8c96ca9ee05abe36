"""One-shot tokens: they stand for a request in a URL, so that the URL can be neither guessed nor used twice."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable

from cricket.errors import ResourceExhausted
from cricket.types.streams import AttachRequest, ExecRequest, PortForwardRequest

LIFETIME = 60.0
CAPACITY = 1000

StreamRequest = ExecRequest | AttachRequest | PortForwardRequest


class Tokens:
    """Requests waiting for their client; each is given out once, within `lifetime` seconds."""

    def __init__(
        self, *, lifetime: float = LIFETIME, capacity: int = CAPACITY, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._lifetime, self._capacity, self._clock = lifetime, capacity, clock
        self._waiting: dict[str, tuple[float, StreamRequest]] = {}

    def __len__(self) -> int:
        self._expire()
        return len(self._waiting)

    def put(self, request: StreamRequest) -> str:
        """A new token of 128 random bits. ResourceExhausted when `capacity` requests are waiting."""
        self._expire()
        if len(self._waiting) >= self._capacity:
            raise ResourceExhausted(
                f"{self._capacity} streaming requests are waiting for their clients",
                todo=f"They expire after {self._lifetime:g} s.",
            )
        token = secrets.token_urlsafe(16)
        self._waiting[token] = (self._clock() + self._lifetime, request)
        return token

    def take(self, token: str) -> StreamRequest | None:
        """The request, once; None when the token is unknown, used or expired."""
        self._expire()
        found = self._waiting.pop(token, None)
        return found[1] if found else None

    def _expire(self) -> None:
        """Dictionaries keep their order and all entries live equally long, so the oldest are in front."""
        now = self._clock()
        while self._waiting:
            token, (deadline, _) = next(iter(self._waiting.items()))
            if deadline > now:
                return
            del self._waiting[token]
