"""How an error becomes a gRPC status: the one place where this happens."""

from __future__ import annotations

import logging
import secrets
from typing import NamedTuple

from cricket.errors import Code, CricketError

log = logging.getLogger(__name__)

MAX_TEXT = 2000
"""Characters of a message: gRPC clients refuse trailers of more than a few KiB."""


class Refusal(NamedTuple):
    """A status other than OK, as the client sees it."""

    code: Code
    text: str


def refusal_of(error: Exception, method: str) -> Refusal:
    """The status of an error.

    Anything but a `CricketError` is a bug: the client gets a number and nothing else, the log the same number and the
    traceback.
    """
    if isinstance(error, CricketError):
        return Refusal(error.code, _short(str(error)))
    if isinstance(error, TimeoutError):
        return Refusal(Code.DEADLINE_EXCEEDED, f"{method} took too long inside the runtime")
    incident = secrets.token_hex(4)
    log.error("incident %s in %s", incident, method, exc_info=error)
    return Refusal(Code.INTERNAL, f"internal error in {method}; the runtime's log has it as incident {incident}")


def _short(text: str) -> str:
    return text if len(text) <= MAX_TEXT else text[: MAX_TEXT - 1] + "…"
