"""docker-credential-* programs: `get` with the server on stdin answers JSON with Username and Secret."""

from __future__ import annotations

import asyncio
import json
import re

from cricket.errors import FailedPrecondition
from cricket.kernel.process import run

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_TIMEOUT = 30.0
_NOT_FOUND = "credentials not found"


def ask(name: str, server: str, source: str) -> tuple[str, str] | None:
    """(name, secret) for a server, None when the helper has none. Blocks, at most 30 s.

    Raises FailedPrecondition that names the helper (and `source`, the file that wants it), DeadlineExceeded, and
    Internal when it cannot be started.
    """
    if not _NAME.fullmatch(name):
        raise FailedPrecondition(f"{name!r} is not the name of a credential helper", where=source)
    program = f"docker-credential-{name}"
    result = asyncio.run(run([program, "get"], stdin=server.encode() + b"\n", timeout=_TIMEOUT, limit=1 << 20))
    if result.code != 0:
        # The protocol has no other sign than these words (docker-credential-helpers, credentials/error.go).
        if _NOT_FOUND in result.stdout.decode("utf-8", "replace").lower():
            return None
        raise FailedPrecondition(f"{program} failed: {result.error_text[:300]}", where=source)
    try:
        answer = json.loads(result.stdout)
        username, secret = answer["Username"], answer["Secret"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise FailedPrecondition(f"the answer of {program} is not understood", where=source) from None
    if not isinstance(username, str) or not isinstance(secret, str):
        raise FailedPrecondition(f"the answer of {program} is not understood", where=source)
    return username, secret
