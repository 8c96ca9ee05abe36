"""What a JSONPath template picks from a document, as `kubectl -o jsonpath=` prints it.

A key that is missing is nothing, an element that is missing is an error. Values of one expression are separated by
spaces; text is printed as it is, objects and lists as JSON. CRI's JSON has 64-bit numbers as text: compared with a
number, or sorted, text that is a number counts as one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from cricket.cli.jsonpath_parse import (
    Descent,
    Field,
    Filter,
    Index,
    JsonPathError,
    Literal,
    Part,
    Path,
    Range,
    Slice,
    Step,
    Text,
    Union,
    Wildcard,
    parse,
    parse_path,
)

Json = Any
_INTEGER = re.compile(r"-?[0-9]{1,30}")


class _Scope(NamedTuple):
    """The document, and the key at its top that is also called `items`."""

    document: Json
    items: str


def render(template: str, document: Json, *, items: str = "", clean: Callable[[str], str] = str) -> str:
    """The template filled from a document of plain values; `clean` is applied to all that comes from the document.

    `items`: the key of the list at the top for which `.items` stands, too. Raises JsonPathError.
    """
    return _render(parse(template), document, _Scope(document, items), clean)


def find(path: str, document: Json) -> list[Json]:
    """The values of one path like `{.a.b}`, `.a.b` or `a.b`. Raises JsonPathError."""
    return _find(parse_path(path), document, _Scope(document, ""))


def ordered(values: Sequence[Json], path: str) -> list[int]:
    """The positions of the values in the order of what the path finds in each; numbers before text, nothing last.

    Raises JsonPathError when none of them has anything there.
    """
    keys = [find(path, value)[:1] for value in values]
    if values and not any(keys):
        raise JsonPathError("nothing that is listed has this field", where=path, todo="see -o json for the fields")
    return sorted(range(len(values)), key=lambda at: _rank(keys[at]))


def _rank(found: list[Json]) -> tuple[int, float, str]:
    if not found:
        return 2, 0, ""
    number = _number(found[0])
    return (0, number, "") if number is not None else (1, 0, _shown(found[0]))


def _render(parts: Sequence[Part], current: Json, scope: _Scope, clean: Callable[[str], str]) -> str:
    made = []
    for part in parts:
        if isinstance(part, Text):
            made.append(part.text)
        elif isinstance(part, Range):
            made += [_render(part.body, value, scope, clean) for value in _find(part.path, current, scope)]
        else:
            made.append(" ".join(clean(_shown(value)) for value in _find(part, current, scope)))
    return "".join(made)


def _shown(value: Json) -> str:
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def _find(path: Path, current: Json, scope: _Scope) -> list[Json]:
    return _walk(path.steps, [scope.document if path.anchor == "$" else current], scope)


def _walk(steps: Sequence[Step], values: list[Json], scope: _Scope) -> list[Json]:
    for step in steps:
        values = [found for value in values for found in _take(step, value, scope)]
    return values


def _take(step: Step, value: Json, scope: _Scope) -> list[Json]:
    """What one step leads to from one value."""
    match step:
        case Field(name):
            if name == "items" and scope.items and value is scope.document and name not in value:
                name = scope.items
            return [value[name]] if isinstance(value, dict) and name in value else []
        case Wildcard():
            return _children(value)
        case Index(at):
            return [_element(value, at)] if isinstance(value, list) else []
        case Slice(start, end, each):
            return value[start:end:each] if isinstance(value, list) else []
        case Descent():
            return list(_descend(value))
        case Union(choices):
            return [found for steps in choices for found in _walk(steps, [value], scope)]
        case Filter():
            return [child for child in _children(value) if _fits(step, child, scope)]


def _children(value: Json) -> list[Json]:
    return list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else []


def _element(value: list[Json], at: int) -> Json:
    if not -len(value) <= at < len(value):
        raise JsonPathError(f"there is no element {at}", where=f"[{at}]", todo=f"the list has {len(value)}")
    return value[at]


def _descend(value: Json) -> Iterator[Json]:
    if children := _children(value):
        yield value
        for child in children:
            yield from _descend(child)


def _fits(condition: Filter, element: Json, scope: _Scope) -> bool:
    left = _operand(condition.left, element, scope)
    if not condition.operator:
        return bool(left)
    right = _operand(condition.right, element, scope)
    if len(left) > 1 or len(right) > 1:
        raise JsonPathError("a filter compares single values", where=f"{len(left)} {condition.operator} {len(right)}")
    return bool(left and right) and _compare(left[0], condition.operator, right[0])


def _operand(operand: Path | Literal, element: Json, scope: _Scope) -> list[Json]:
    return [operand.value] if isinstance(operand, Literal) else _find(operand, element, scope)


def _compare(left: Json, operator: str, right: Json) -> bool:
    """Text with text, numbers with numbers; what cannot be compared is only unequal."""
    if not (isinstance(left, str) and isinstance(right, str)):
        numbers = _number(left), _number(right)
        if None not in numbers:
            left, right = numbers
    if operator in ("==", "!="):
        return bool((left == right) == (operator == "=="))
    if not (isinstance(left, str) and isinstance(right, str)) and not _both_numbers(left, right):
        return False
    return bool({"<": left < right, "<=": left <= right, ">": left > right, ">=": left >= right}[operator])


def _both_numbers(left: Json, right: Json) -> bool:
    return all(isinstance(value, int | float) and not isinstance(value, bool) for value in (left, right))


def _number(value: Json) -> float | None:
    """A number, also one that is text; no bool."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    if isinstance(value, str):
        return int(value) if _INTEGER.fullmatch(value) else None
    return value
