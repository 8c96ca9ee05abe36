from __future__ import annotations

import pytest

from cricket.errors import ResourceExhausted
from cricket.streaming.tokens import Tokens
from cricket.types.streams import PortForwardRequest

REQUEST = PortForwardRequest("s")


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_token_works_once() -> None:
    tokens = Tokens()
    token = tokens.put(REQUEST)
    assert tokens.take(token) is REQUEST
    assert tokens.take(token) is None
    assert tokens.take("") is None


def test_tokens_are_long_and_differ() -> None:
    tokens = Tokens()
    made = {tokens.put(REQUEST) for _ in range(1000)}
    assert len(made) == 1000
    assert all(len(token) >= 22 for token in made)


def test_a_token_expires() -> None:
    clock = Clock()
    tokens = Tokens(clock=clock)
    old = tokens.put(REQUEST)
    clock.now = 59.9
    young = tokens.put(REQUEST)
    clock.now = 60.1
    assert tokens.take(old) is None
    assert tokens.take(young) is REQUEST


def test_the_cache_is_bounded_and_recovers() -> None:
    clock = Clock()
    tokens = Tokens(capacity=3, clock=clock)
    first = [tokens.put(REQUEST) for _ in range(3)]
    with pytest.raises(ResourceExhausted):
        tokens.put(REQUEST)
    tokens.take(first[0])
    tokens.put(REQUEST)
    clock.now = 61
    assert len(tokens) == 0
    tokens.put(REQUEST)
