"""JSONPath on any document: every value is found by its path, and no text does worse than being refused."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from cricket.cli import jsonpath
from cricket.cli.jsonpath_parse import JsonPathError, parse

KEYS = st.text(min_size=1, max_size=6)
DOCUMENTS = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**20), 10**20) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)


def _paths(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every value with a path that leads to it; keys have each character escaped, as any may be."""
    yield path, value
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in entries:
        escaped = "".join(f"\\{c}" for c in key) if isinstance(key, str) else ""
        yield from _paths(item, f"{path}.{escaped}" if escaped else f"{path}[{key}]")


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"), ensure_ascii=False)


@given(DOCUMENTS)
def test_every_value_is_found_by_its_path(document: Any) -> None:
    for path, value in _paths(document):
        assert jsonpath.render(f"<{{${path}}}>", document) == f"<{_shown(value)}>"


@given(DOCUMENTS)
def test_descent_finds_each_key_wherever_it_is(document: Any) -> None:
    everything = [value for _, value in _paths(document)]
    names = {key for value in everything if isinstance(value, dict) for key in value}
    for name in names:
        path = "$.." + "".join(f"\\{c}" for c in name)
        wanted = [value[name] for value in everything if isinstance(value, dict) and name in value]
        found = jsonpath.find(path, document)
        assert len(found) == len(wanted) and all(value in wanted for value in found)


@given(st.lists(st.integers(), max_size=8), *[st.none() | st.integers(-9, 9)] * 2, st.none() | st.integers(1, 4))
def test_slices_are_those_of_python(values: list[int], start: int | None, end: int | None, step: int | None) -> None:
    text = ":".join("" if number is None else str(number) for number in (start, end, step))
    assert jsonpath.find(f"$[{text}]", values) == values[start:end:step]


@given(st.lists(st.fixed_dictionaries({"n": st.integers(-5, 5)}), max_size=8), st.integers(-5, 5))
def test_filters_choose_as_python_compares(values: list[dict[str, int]], limit: int) -> None:
    assert jsonpath.find(f"$[?(@.n<{limit})].n", values) == [v["n"] for v in values if v["n"] < limit]
    assert jsonpath.find(f"$[?(@.n != {limit})].n", values) == [v["n"] for v in values if v["n"] != limit]


@given(st.lists(st.integers(-9, 9).map(lambda n: {"n": str(n)}), max_size=8))
def test_order_is_that_of_numbers_and_stable(values: list[dict[str, str]]) -> None:
    assert jsonpath.ordered(values, ".n") == sorted(range(len(values)), key=lambda at: int(values[at]["n"]))


@given(st.text(alphabet="{}[]()?@$.:,*'\"\\=<>! abrange0-1\n", max_size=30), DOCUMENTS)
def test_any_text_is_a_template_or_refused_with_its_place(text: str, document: Any) -> None:
    try:
        parse(text)
    except JsonPathError as error:
        assert error.where and error.what.startswith("character ")
        return
    try:
        jsonpath.render(text, document)
    except JsonPathError as error:
        assert error.where


@given(st.text(alphabet=st.characters(exclude_characters="{"), max_size=20))
def test_text_without_braces_is_itself(text: str) -> None:
    if text[:1] not in (".", "$", "[", "@"):
        assert jsonpath.render(text, {}) == text


def test_what_is_too_deep_is_refused() -> None:
    text = "{.a" + "[?(@" * 5000
    try:
        parse(text)
    except JsonPathError as error:
        assert "within each other" in error.what
    else:
        raise AssertionError("it was read")
