"""What an argument completes to, as its command declares it; and what its name lets one expect otherwise."""

from __future__ import annotations

import argparse
from typing import TypeVar

A = TypeVar("A", bound=argparse.Action)


def completes(action: A, kind: str) -> A:
    """Declare what `parser.add_argument(...)` completes to: one of `kinds.KINDS`. Returns the action."""
    action.completes = kind  # type: ignore[attr-defined]
    return action
