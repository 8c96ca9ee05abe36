"""Merging and validation hold for whatever TOML can say."""

from __future__ import annotations

import copy
import tomllib
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from cricket.config.check import check_file, check_value
from cricket.config.merge import flatten, merge, nest
from cricket.config.model import Config
from cricket.config.render import toml_value
from cricket.config.table import Entry, fields, table

names = st.sampled_from(["a", "b", "root", "log", "level", "handlers", "crun", "path", "network", "conf_dirs"])
text = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
leaves = st.one_of(st.booleans(), st.integers(), st.floats(), text, st.lists(text, max_size=3))
tables = st.recursive(
    st.dictionaries(names, leaves, max_size=4), lambda below: st.dictionaries(names, leaves | below, max_size=4)
)


@given(st.lists(tables, max_size=4))
def test_a_leaf_is_what_the_last_table_says(sources: list[dict[str, Any]]) -> None:
    before = copy.deepcopy(sources)
    merged: dict[str, Any] = {}
    for source in sources:
        merge(merged, source)
    assert repr(sources) == repr(before)
    if sources:
        for key, value in flatten(sources[-1]).items():
            assert repr(flatten(merged)[key]) == repr(value)
    again = copy.deepcopy(merged)
    merge(again, merged)
    assert repr(again) == repr(merged)


@given(tables)
def test_flatten_and_nest_are_inverses(table: dict[str, Any]) -> None:
    flat = flatten(table)
    assert repr(flatten(nest(flat))) == repr(flat)


@given(st.dictionaries(st.sampled_from([*fields(Config), "nope", "Root"]), leaves | tables, max_size=6))
def test_what_passes_the_check_converts(content: dict[str, Any]) -> None:
    if not check_file("f", content):
        msgspec.convert(content, Config)


@given(st.sampled_from(sorted(table().items())), leaves | tables)
def test_a_value_that_passes_converts_to_the_type_of_its_key(item: tuple[str, Entry], value: Any) -> None:
    if not check_value(item[1], value):
        msgspec.convert(value, item[1].type)


@given(st.one_of(st.booleans(), st.integers(-(2**63), 2**63 - 1), text, st.lists(text), st.floats(allow_nan=False)))
def test_what_is_written_reads_back(value: Any) -> None:
    assert tomllib.loads(f"x = {toml_value(value)}") == {"x": value}
