"""Trying again: exponential back-off with jitter, and what the registry asks for."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from typing import TypeVar

import msgspec

from cricket.errors import Cancelled, CricketError
from cricket.images.remote.failure import retryable

T = TypeVar("T")


class RetryPolicy(msgspec.Struct, frozen=True):
    """Times in seconds. A `Retry-After` longer than `patience` is not waited for: the error goes to the caller."""

    attempts: int = 5
    base: float = 0.5
    cap: float = 15.0
    patience: float = 60.0

    def delay(self, attempt: int, error: CricketError) -> float | None:
        """How long to wait after failed attempt number `attempt` (1, 2, ...), None to give up."""
        if attempt >= self.attempts or not retryable(error):
            return None
        asked = float(getattr(error, "retry_after", 0.0))
        if asked > self.patience:
            return None
        backoff: float = min(self.cap, self.base * 2.0 ** (attempt - 1))
        return max(asked, backoff * random.uniform(0.5, 1.0))

    def once(self) -> RetryPolicy:
        """The same without repetition: for mirrors, behind which the next endpoint waits."""
        return msgspec.structs.replace(self, attempts=1)


def retrying(policy: RetryPolicy, stop: threading.Event, call: Callable[[], T]) -> T:
    """Call until it succeeds or the policy gives up, then raise the last error. Cancelled when `stop` is set."""
    attempt = 1
    while True:
        try:
            return call()
        except CricketError as e:
            wait = policy.delay(attempt, e)
            if wait is None:
                raise
        pause(stop, wait)
        attempt += 1


def pause(stop: threading.Event, seconds: float) -> None:
    """Wait; raises Cancelled as soon as `stop` is set."""
    if stop.wait(seconds):
        raise Cancelled("the pull was stopped")
