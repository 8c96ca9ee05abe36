"""Validation of one file as it was read: unknown keys, types and ranges. Every problem is found, not only the first."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from cricket.config.model import Config
from cricket.config.table import Entry, fields, is_named, table
from cricket.errors import InvalidArgument

# RuntimeClass handlers are DNS labels (Kubernetes node.k8s.io/v1).
_HANDLER_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_WORDS: dict[Any, str] = {
    str: "a string",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    tuple[str, ...]: "a list of strings",
}
_INT64 = 1 << 63


class Problem(msgspec.Struct, frozen=True):
    """What is wrong with a key of a file; `key` is "" when it is the file as a whole."""

    file: str
    key: str
    text: str

    def __str__(self) -> str:
        return f"{self.file}: {self.key}: {self.text}" if self.key else f"{self.file}: {self.text}"


class ConfigError(InvalidArgument):
    """The configuration is not valid; `problems` holds everything that is wrong, in order."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("; ".join(map(str, problems)))
        self.problems = tuple(problems)


def check_file(file: str, content: Mapping[str, Any]) -> list[Problem]:
    """Check what one file holds, as TOML gives it; `file` is the name for messages."""
    return [Problem(file, key, text) for key, text in _check_table(Config, content, "")]


def _check_table(struct: type[msgspec.Struct], content: Any, prefix: str) -> Iterator[tuple[str, str]]:
    if not isinstance(content, Mapping):
        yield prefix.rstrip("."), f"should be a table, is {_show(content)}"
        return
    known = fields(struct)
    for name, value in content.items():
        entry = known.get(name)
        if entry is None:
            yield prefix + name, "unknown key" + _suggestion(name, prefix, struct)
        elif isinstance(entry, Entry):
            if problem := check_value(entry, value):
                yield prefix + name, problem
        elif is_named(entry):
            yield from _check_named(entry, value, f"{prefix}{name}.")
        else:
            yield from _check_table(entry, value, f"{prefix}{name}.")


def _check_named(struct: type[msgspec.Struct], content: Any, prefix: str) -> Iterator[tuple[str, str]]:
    if not isinstance(content, Mapping):
        yield prefix.rstrip("."), f"should be a table of tables, is {_show(content)}"
        return
    for name, value in content.items():
        if _HANDLER_NAME.fullmatch(name):
            yield from _check_table(struct, value, f"{prefix}{name}.")
        else:
            yield prefix + name, "should be a DNS label (lower case letters, digits and inner hyphens, at most 63)"


def check_value(entry: Entry, value: Any) -> str:
    """What is wrong with the value of a key, "" when nothing is."""
    if not _has_type(value, entry.type):
        return f"should be {_WORDS[entry.type]}, is {_show(value)}"
    if isinstance(value, int | float):
        return _check_number(entry, value)
    for text in [value] if isinstance(value, str) else value:
        if "\0" in text:
            return "must not hold a NUL character"
        if entry.key.choices and text not in entry.key.choices:
            return f"should be one of {', '.join(entry.key.choices)}, is {_show(text)}"
        if entry.key.absolute and text != entry.default and not text.startswith("/"):
            return f"should be an absolute path, is {_show(text)}"
    return ""


def _has_type(value: Any, kind: Any) -> bool:
    if kind is bool or isinstance(value, bool):
        return kind is bool and isinstance(value, bool)
    if kind is float:
        return isinstance(value, int | float)
    if kind is int or kind is str:
        return isinstance(value, kind)
    return isinstance(value, list | tuple) and all(isinstance(item, str) for item in value)


def _check_number(entry: Entry, value: float) -> str:
    low, high = entry.key.low, entry.key.high
    if not math.isfinite(value) or not -_INT64 <= value < _INT64:
        return f"should be a number that fits, is {value}"
    if low is not None and value < low:
        return f"should be at least {_limit(entry, low)}, is {_show(value)}"
    if high is not None and value > high:
        return f"should be at most {_limit(entry, high)}, is {_show(value)}"
    return ""


def _limit(entry: Entry, number: float) -> str:
    return oct(int(number)) if entry.key.octal else f"{number:.12g}"


def _show(value: Any) -> str:
    if isinstance(value, Mapping):
        return "a table"
    if isinstance(value, bool):
        return "true" if value else "false"
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _suggestion(name: str, prefix: str, struct: type[msgspec.Struct]) -> str:
    """The key that was probably meant: a similar one of this table, or the same name in another one."""
    import difflib

    near = difflib.get_close_matches(name, list(fields(struct)), n=1, cutoff=0.6)
    if near:
        return f"; did you mean {prefix}{near[0]}?"
    elsewhere = [dotted for dotted in table() if dotted.rpartition(".")[2] == name]
    return f"; did you mean {elsewhere[0]}?" if elsewhere else ""
