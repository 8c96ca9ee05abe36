"""YAML and JSON as plain data, with the lines on which things stand.

As Kubernetes reads YAML: timestamps and sexagesimals are text, octal may be written 0o644, no key stands twice.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

from cricket.kubelet.manifest.finding import Path

_NODES = 200_000
"""More values in one stream are no manifest: aliases of aliases would take all memory."""

_BOOL = re.compile(r"yes|Yes|YES|no|No|NO|true|True|TRUE|false|False|FALSE|on|On|ON|off|Off|OFF")
_INT = re.compile(r"[-+]?(0b[01_]+|0o?[0-7_]+|0|[1-9][0-9_]*|0x[0-9a-fA-F_]+)", re.ASCII)
_FLOAT = re.compile(
    r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)", re.ASCII
)
_NULL = re.compile(r"~|null|Null|NULL|")


class Unreadable(Exception):
    """This is no YAML: what, and on which line."""

    def __init__(self, text: str, line: int) -> None:
        super().__init__(text)
        self.line = line


class Document:
    """One document: its `data`, None when it is empty; and what is wrong with its keys in `duplicates`."""

    def __init__(self, node: Any) -> None:
        self._node, self.duplicates = node, list[Path]()
        self._left = _NODES
        self.data = self._value(node, ())

    @property
    def line(self) -> int:
        """Where it begins, from 1."""
        return int(self._node.start_mark.line) + 1

    def line_of(self, path: Path) -> int:
        """The line of a field, or of the nearest thing around it that is written."""
        node, line = self._node, self.line
        for part in path:
            found = _child(node, part)
            if found is None:
                break
            node, mark = found
            line = int(mark.line) + 1
        return line

    def _value(self, node: Any, path: Path) -> Any:
        self._left -= 1
        if self._left < 0 or len(path) > 100:
            raise Unreadable("the document is too large", int(node.start_mark.line) + 1)
        if node.id == "scalar":
            return _scalar(node)
        if node.id == "sequence":
            return [self._value(item, (*path, i)) for i, item in enumerate(node.value)]
        result: dict[str, Any] = {}
        merged: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = key_node.value if key_node.id == "scalar" else "?"
            if key_node.tag == "tag:yaml.org,2002:merge":
                merged = {**merged, **self._merged(value_node, path)}
                continue
            if key in result:
                self.duplicates.append((*path, key))
            result[key] = self._value(value_node, (*path, key))
        return {**merged, **result}

    def _merged(self, node: Any, path: Path) -> dict[str, Any]:
        parts = node.value if node.id == "sequence" else [node]
        found = [value for part in reversed(parts) if isinstance(value := self._value(part, path), dict)]
        return {key: value for part in found for key, value in part.items()}


def documents(text: bytes) -> Iterator[Document]:
    """The documents of a stream. Raises Unreadable; those before the mistake were given."""
    import yaml

    try:
        for node in yaml.compose_all(text, Loader=_loader()):
            if node is not None:
                yield Document(node)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        words = error.problem or error.context or "it cannot be read"
        raise Unreadable(f"this is no YAML: {words}", int(mark.line) + 1 if mark else 0) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        words = " ".join(str(error).split())
        raise Unreadable(f"this is no YAML: {words}", 0) from error
    except RecursionError as error:
        raise Unreadable("the document is nested too deeply", 0) from error


@cache
def _loader() -> Any:
    import yaml

    class Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]  # chosen at run time
        """Without PyYAML's own idea of what plain words mean."""

    Loader.yaml_implicit_resolvers = {}
    tag = "tag:yaml.org,2002:"
    for name, pattern in (("bool", _BOOL), ("int", _INT), ("float", _FLOAT), ("null", _NULL), ("merge", "<<")):
        whole = re.compile(rf"(?:{getattr(pattern, 'pattern', pattern)})\Z", re.ASCII)
        Loader.add_implicit_resolver(tag + name, whole, None)
    return Loader


def _scalar(node: Any) -> Any:
    kind = node.tag.rpartition(":")[2]
    text: str = node.value
    try:
        match kind:
            case "null":
                return None
            case "bool":
                return text.lower() in ("yes", "true", "on")
            case "int":
                return _integer(text.replace("_", ""))
            case "float":
                return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))
    except ValueError as error:
        raise Unreadable(f'"{text}" is no {kind}', int(node.start_mark.line) + 1) from error
    return text


def _integer(text: str) -> int:
    sign, digits = (text[0], text[1:]) if text[0] in "+-" else ("", text)
    if digits[0] == "0" and digits.isdigit() and len(digits) > 1:
        digits = "0o" + digits
    return int(sign + digits, 0)


def _child(node: Any, part: str | int) -> tuple[Any, Any] | None:
    """The node under a key or number, and where it begins: a key's own place."""
    if node.id == "sequence" and isinstance(part, int) and part < len(node.value):
        return node.value[part], node.value[part].start_mark
    if node.id == "mapping":
        for key, value in reversed(node.value):
            if key.id == "scalar" and key.value == part:
                return value, key.start_mark
    return None
