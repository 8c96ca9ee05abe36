"""Time for records: Unix nanoseconds that never repeat or go back within a run."""

from __future__ import annotations

import secrets
import time

_last = 0


def now() -> int:
    """Unix nanoseconds, strictly increasing even when the clock jumps back (checklist 13)."""
    global _last
    _last = max(time.time_ns(), _last + 1)
    return _last


def not_before(nanoseconds: int) -> None:
    """Make `now` later than a time that a record already has; called when records are loaded."""
    global _last
    _last = max(_last, nanoseconds)


def new_id() -> str:
    """A fresh id: 64 hexadecimal digits."""
    return secrets.token_hex(32)
