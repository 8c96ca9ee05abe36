"""Plain data as YAML that people like to read, with comments."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

Path = tuple[str | int, ...]

_PLAIN = re.compile(r"-{0,2}[A-Za-z/_.][A-Za-z0-9/_.@+,=()-]*(?:[ :][A-Za-z0-9/_.@+,=()-]+)*", re.ASCII)
_WORDS = re.compile(r"(?i)y|n|yes|no|true|false|on|off|null|~|[-+.]?(inf|nan)|[-+.0-9][0-9_.eE+:-]*")
_BLOCK = re.compile(r"[^\x00-\x08\x0b-\x1f\x7f-\xa0\u2028\u2029\ufeff\ud800-\udfff]*")


class Comments:
    """What is to be said, by the path of the field above which it stands; if that is not there, above its object."""

    def __init__(self) -> None:
        self._said: dict[Path, list[str]] = {}

    def say(self, path: Path, text: str) -> None:
        """Say it once."""
        lines = self._said.setdefault(path, [])
        if text not in lines:
            lines.append(text)

    def of(self, path: Path) -> list[str]:
        """What is said there."""
        return self._said.get(path, [])

    def within(self, path: Path, present: Any) -> list[str]:
        """What is said of fields of an object that it does not have."""
        keys = present if isinstance(present, dict) else {}
        return [
            text
            for said, texts in self._said.items()
            for text in texts
            if len(said) == len(path) + 1 and said[:-1] == path and said[-1] not in keys and isinstance(said[-1], str)
        ]


def document(value: Any, comments: Comments) -> str:
    """One document, without its `---`."""
    lines = [f"# {text}" for text in (*comments.of(()), *comments.within((), value))]
    return "\n".join([*lines, *_block(value, (), comments)]) + "\n"


def _block(value: Any, path: Path, comments: Comments) -> Iterator[str]:
    if isinstance(value, dict):
        for key, item in value.items():
            here = (*path, key)
            yield from (f"# {text}" for text in (*comments.of(here), *_inner(item, here, comments)))
            yield from _entry(f"{_scalar(key)}:", item, here, comments)
    else:
        for index, item in enumerate(value):
            here = (*path, index)
            yield from (f"# {text}" for text in (*comments.of(here), *_inner(item, here, comments)))
            yield from _entry("-", item, here, comments)


def _inner(item: Any, path: Path, comments: Comments) -> list[str]:
    return comments.within(path, item) if isinstance(item, dict) else []


def _entry(head: str, item: Any, path: Path, comments: Comments) -> Iterator[str]:
    if isinstance(item, dict | list) and item:
        lines = list(_block(item, path, comments))
        if head == "-":
            # The first field goes beside the dash, comments above it.
            while lines[0].startswith("#"):
                yield lines.pop(0)
            yield f"- {lines.pop(0)}"
        else:
            yield head
        indent = "" if isinstance(item, list) and head != "-" else "  "
        yield from (indent + line if line else line for line in lines)
    elif isinstance(item, str) and "\n" in item and _blockable(item):
        yield f"{head} |" + ("" if item.endswith("\n") else "-")
        yield from ("  " + line if line else "" for line in item.removesuffix("\n").split("\n"))
    else:
        yield f"{head} {_scalar(item)}"


def _blockable(text: str) -> bool:
    lines = text.split("\n")
    return bool(
        _BLOCK.fullmatch(text)
        and lines[0][:1] not in ("", " ", "\t")
        and not text.endswith("\n\n")
        and not any(line.endswith((" ", "\t")) for line in lines)
    )


def _scalar(value: Any) -> str:
    if isinstance(value, dict | list):
        return "{}" if isinstance(value, dict) else "[]"
    if not isinstance(value, str):
        return json.dumps(value)
    if _PLAIN.fullmatch(value) and not _WORDS.fullmatch(value):
        return value
    # JSON's strings are YAML's, but for what YAML takes for the end of a line or does not print.
    text = json.dumps(value, ensure_ascii=False)
    return re.sub(r"[\x7f-\xa0\u2028\u2029\ufeff]", lambda m: f"\\u{ord(m[0]):04x}", text)
