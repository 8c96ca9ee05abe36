"""WWW-Authenticate: the challenges of a 401 (RFC 9110, 11.6.1)."""

from __future__ import annotations

import re
from collections.abc import Iterable

import msgspec

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"')
_SPACE = re.compile(r"[ \t,]*")
_EQUALS = re.compile(r"[ \t]*=[ \t]*")
_HEADER_MAX = 8192


class Challenge(msgspec.Struct, frozen=True):
    """`scheme` and the names of `parameters` in lower case."""

    scheme: str
    parameters: dict[str, str] = {}


def parse_challenges(headers: Iterable[str]) -> list[Challenge]:
    """All challenges in order. A malformed rest of a header is ignored, as is anything beyond 8 KiB of it."""
    found: list[Challenge] = []
    for header in headers:
        found += _parse(header[:_HEADER_MAX])
    return found


def _parse(text: str) -> list[Challenge]:
    found: list[Challenge] = []
    at = _skip(text, 0)
    while match := _TOKEN.match(text, at):
        equals = _EQUALS.match(text, match.end())
        if found and equals:
            value, at = _value(text, equals.end())
            if value is None:
                break
            found[-1].parameters.setdefault(match.group().lower(), value)
        else:
            found.append(Challenge(match.group().lower(), {}))
            at = match.end()
        at = _skip(text, at)
    return found


def _value(text: str, at: int) -> tuple[str | None, int]:
    if quoted := _QUOTED.match(text, at):
        return re.sub(r"\\(.)", r"\1", quoted.group(1)), quoted.end()
    if token := _TOKEN.match(text, at):
        return token.group(), token.end()
    return None, at


def _skip(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    return match.end() if match else at
