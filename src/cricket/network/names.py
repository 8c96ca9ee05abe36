"""What may be a network's, container's, interface's or plugin's name (CNI SPEC sections 1 and 3).

Names become parts of paths and environment variables: these checks are what keeps hostile ones out.
"""

from __future__ import annotations

import re

from cricket.errors import InvalidArgument

_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.\-]*\Z")
_LONGEST = 110  # network, container id and interface are joined to one file name of at most 255 bytes
_IFNAMSIZ = 15


def check_word(name: str, what: str) -> None:
    """A network name or container id. Raises InvalidArgument."""
    if not _WORD.match(name) or len(name) > _LONGEST:
        raise InvalidArgument(f"{what} {name[:80]!r} is not made of letters, digits, '_', '.' and '-'")


def check_interface(name: str) -> None:
    """A name that the kernel accepts for an interface. Raises InvalidArgument."""
    bad = not name or name in (".", "..") or len(name.encode()) > _IFNAMSIZ
    if bad or any(c in "/:" or c.isspace() or not c.isprintable() for c in name):
        raise InvalidArgument(f"{name[:80]!r} cannot be the name of a network interface")


def check_plugin(name: object) -> str:
    """A plugin type: a file name without a directory. Returns it; raises InvalidArgument."""
    if not isinstance(name, str) or not name or name in (".", "..") or len(name) > _LONGEST:
        raise InvalidArgument(f"a plugin type is a file name, not {str(name)[:80]!r}")
    if "/" in name or "\\" in name or not name.isprintable():
        raise InvalidArgument(f"the plugin type {name!r} must be a file name without directories")
    return name
