"""Whatever is written as YAML is read as the same, by our reader and by PyYAML."""

from __future__ import annotations

from typing import Any

import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cricket.cli.generating.yaml_text import Comments, document
from cricket.kubelet.manifest.yaml_nodes import documents

_HARD = ("yes", "~", "1e3", "0o17", "-", "- a", "a: b", "a #b", "#", " a", "a ", "a\nb", "a\n", "\n", "|", "12:30", "=")
_HARDER = (
    "<<",
    "-1",
    "2001-01-01",
    ".5",
    "&a",
    "a:",
    "--- a",
    "---",
    "...",
    "a\n\n",
    "a\n b",
    "a \nb",
    "\u0085",
    "\ufeff",
)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20) | st.sampled_from(_HARD + _HARDER)
keys = st.from_regex(r"[a-zA-Z][a-zA-Z./-]{0,8}", fullmatch=True).filter(lambda key: key not in ("y", "n")) | texts
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3),
    max_leaves=12,
)


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(keys, values, min_size=1, max_size=4))
@example({"a": [[["b"]], [{"c": [{"d": "e\nf"}]}], []], "g": {}})
@example({"": {"": ""}})
def test_what_is_written_is_read(value: dict[str, Any]) -> None:
    text = document(value, Comments())
    assert yaml.safe_load(text) == value
    (read,) = documents(text.encode())
    assert read.data == value


paths = st.sampled_from([(), ("a",), ("a", 0), ("a", 0, "b"), ("a", 1), ("a", 0, "gone"), ("c", "d"), ("gone",)])


@given(st.lists(st.tuples(paths, st.sampled_from(["one", "two: [", "- three"])), max_size=6))
def test_comments_change_nothing(said: list[tuple[tuple[str | int, ...], str]]) -> None:
    value = {"a": [{"b": "x\ny"}, "z"], "c": {"d": [1]}}
    comments = Comments()
    for path, text in said:
        comments.say(path, text)
    written = document(value, comments)
    assert yaml.safe_load(written) == value
    lines = [line.strip() for line in written.splitlines()]
    assert all(f"# {text}" in lines for _, text in said)
