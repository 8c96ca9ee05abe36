"""What crun and runc complain of, freed from log levels and time stamps."""

from __future__ import annotations

import re

import msgspec

_LOGFMT = re.compile(r'level=(\w+) msg="((?:[^"\\]|\\.)*)"')
_ESCAPE = re.compile(r"\\(.)")
_MAX = 2000
_BAD = ("error", "fatal", "panic")


def last_message(output: bytes | str) -> str:
    """The last error in a runtime's log or stderr, in JSON lines, logfmt or plain text; "" when there is nothing."""
    text = output.decode("utf-8", "replace") if isinstance(output, bytes) else output
    errors: list[str] = []
    others: list[str] = []
    for line in text.splitlines():
        level, message = _parse(line.strip())
        if message:
            (errors if level in _BAD else others).append(message)
    found = errors or others
    return found[-1][-_MAX:] if found else ""


def _parse(line: str) -> tuple[str, str]:
    """Level and message of a line; plain text has no level."""
    if line.startswith("{"):
        try:
            entry = msgspec.json.decode(line, type=dict[str, object])
        except msgspec.MsgspecError:
            return "", line
        return str(entry.get("level", "")), str(entry.get("msg", "")).strip()
    if match := _LOGFMT.search(line):
        return match[1], _ESCAPE.sub(r"\1", match[2])
    return "", line
