"""A place to die: tests/faults kills the daemon after its Nth effect. Costs one comparison when it is off.

Every effect that outlives the process (a record written, a mount, a namespace, a plugin or runtime run) is followed by
`effect(name)`. With CRICKET_DIE_AFTER=N the process kills itself with SIGKILL at the Nth one after `arm()`; the names
go to the file CRICKET_EFFECT_LOG so that the test knows where it happened.
"""

from __future__ import annotations

import os
import signal

_limit = int(os.environ.get("CRICKET_DIE_AFTER", "0"))
_log = os.environ.get("CRICKET_EFFECT_LOG", "")
_enabled = bool(_limit or _log)
_armed = False
_count = 0


def arm() -> None:
    """Count from here (the daemon arms itself when it serves, so that start-up is not counted)."""
    global _armed
    _armed = True


def effect(name: str) -> None:
    """Tell that a lasting effect has just happened."""
    if not _enabled or not _armed:
        return
    global _count
    _count += 1
    if _log:
        with open(_log, "a") as f:
            f.write(f"{_count} {name}\n")
    if _count == _limit:
        os.kill(os.getpid(), signal.SIGKILL)
