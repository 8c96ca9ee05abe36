"""What conversion and validation have to say about a field."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

Path = tuple[str | int, ...]
"""Fields by name, elements by number, from the top of the document."""

_PLAIN = re.compile(r"[A-Za-z_]\w*", re.ASCII)


class Finding(NamedTuple):
    """A mistake, or with `warning` something that has no effect here."""

    path: Path
    text: str
    warning: bool = False


Findings = Iterator[Finding]


def spelled(path: Path) -> str:
    """As Kubernetes spells it: spec.containers[0].name, metadata.labels[a/b]."""
    text = ""
    for part in path:
        if isinstance(part, int) or not _PLAIN.fullmatch(part):
            text += f"[{part}]"
        else:
            text += f".{part}" if text else part
    return text


def one_of(path: Path, value: str, allowed: tuple[str, ...]) -> Findings:
    """A word of a list."""
    if value not in allowed:
        words = ", ".join(f'"{word}"' for word in allowed if word)
        yield Finding(path, f'unsupported value "{value}"; it should be one of {words}')
