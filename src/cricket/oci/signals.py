"""Stop signals by name or number."""

from __future__ import annotations

import re
import signal

from cricket.errors import InvalidArgument

_RTMIN, _RTMAX = 34, 64
_RT = re.compile(r"RTM(IN|AX)(?:(\+|-|PLUS|MINUS)(\d{1,2}))?")
_ALIASES = {"CLD": signal.SIGCHLD, "POLL": signal.SIGIO, "IOT": signal.SIGABRT}


def parse_signal(name: str) -> int:
    """The number of "SIGTERM", "term", "15", "SIGRTMIN+3" or "RTMAX-1". Raises InvalidArgument.

    Real-time numbers are the kernel's as glibc shows them (34 to 64), which is what a shell in the container means too.
    """
    text = name.strip().upper()
    if text.isascii() and text.isdigit():
        number = int(text[:6])
        if 0 < number <= _RTMAX:
            return number
    word = text.removeprefix("SIG")
    if match := _RT.fullmatch(word):
        base = _RTMIN if match[1] == "IN" else _RTMAX
        sign = -1 if match[2] in ("-", "MINUS") else 1
        number = base + sign * int(match[3] or 0)
        if _RTMIN <= number <= _RTMAX:
            return number
    found = _ALIASES.get(word) or signal.Signals.__members__.get("SIG" + word)
    if found is None:
        raise InvalidArgument(f"{name[:64]!r} is no signal", where="stop_signal")
    return int(found)


def stop_signal(asked: str, image: str) -> int:
    """The container's stop signal, else its image's, else SIGTERM. Raises InvalidArgument."""
    chosen = asked or image
    return parse_signal(chosen) if chosen else int(signal.SIGTERM)
