"""From the bytes of a keyboard to names of keys."""

from __future__ import annotations

import re

_NAMES = {
    b"\x1b[A": "up",
    b"\x1b[B": "down",
    b"\x1b[C": "right",
    b"\x1b[D": "left",
    b"\x1b[H": "home",
    b"\x1b[F": "end",
    b"\x1b[1~": "home",
    b"\x1b[4~": "end",
    b"\x1b[7~": "home",
    b"\x1b[8~": "end",
    b"\x1b[5~": "pageup",
    b"\x1b[6~": "pagedown",
    b"\r": "enter",
    b"\n": "enter",
    b"\t": "tab",
    b"\x7f": "backspace",
    b"\x08": "backspace",
    b"\x1b": "escape",
}
_KEY = re.compile(rb"\x1b\[[0-?]*[ -/]*[@-~]|\x1bO.|\x1b|[\xc0-\xff][\x80-\xbf]*|.", re.DOTALL)


def keys(data: bytes) -> list[str]:
    """The keys in what was read at once: a character each, or a name. Keys that mean nothing here are left out.

    A terminal sends the sequence of a key in one piece, so that an escape at the end is the key of that name.
    """
    found = []
    for piece in _KEY.findall(data):
        # Cursor keys in application mode say O for [.
        name = _NAMES.get(piece.replace(b"\x1bO", b"\x1b["))
        text = piece.decode("utf-8", "ignore")
        if name or (len(text) == 1 and text.isprintable()):
            found.append(name or text)
    return found
