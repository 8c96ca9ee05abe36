"""YAML as Kubernetes reads it."""

from __future__ import annotations

from typing import Any

import pytest

from cricket.kubelet.manifest.yaml_nodes import Unreadable, documents


def read(text: str) -> Any:
    (document,) = documents(text.encode())
    return document.data


@pytest.mark.parametrize(
    ("text", "value"),
    [("0644", 420), ("0o644", 420), ("0x1F", 31), ("-3", -3), ("1_000", 1000), ("0", 0), ("1e3", 1000.0), ("1.5", 1.5),
     ("12:30:45", "12:30:45"), ("2024-01-01", "2024-01-01"), ("yes", True), ("Off", False), ("y", "y"), ("~", None),
     ("null", None), ('"1"', "1"), ("'yes'", "yes"), ("!!str 1", "1"), ("1.2.3", "1.2.3"), ("0b101", 5), ("+7", 7)],
)  # fmt: skip
def test_scalars(text: str, value: Any) -> None:
    found = read(f"a: {text}")["a"]
    assert found == value
    assert type(found) is type(value)


def test_nothing_is_none() -> None:
    assert read("a:") == {"a": None}
    assert list(documents(b"")) == []
    assert [d.data for d in documents(b"---\n---\na: 1\n...\n")][-1] == {"a": 1}
    assert [d.data for d in documents(b"a: 1\n---\nb: 2\n")] == [{"a": 1}, {"b": 2}]


def test_anchors_and_merge_keys() -> None:
    assert read("x: &a {k: 1, l: 2}\ny: {<<: *a, l: 3}\nz: {<<: [*a, {m: 4, k: 9}]}")["y"] == {"k": 1, "l": 3}
    assert read("x: &a {k: 1}\nz: {<<: [*a, {m: 4, k: 9}]}")["z"] == {"k": 1, "m": 4}


def test_duplicate_keys_are_noted() -> None:
    (document,) = documents(b"a:\n  b: 1\n  b: 2\n")
    assert document.duplicates == [("a", "b")]
    assert document.line_of(("a", "b")) == 3


def test_lines() -> None:
    (document,) = documents(b"# comment\na:\n  - x: 1\n  - y:\n      z: 2\n")
    assert document.line_of(()) == 2
    assert document.line_of(("a", 0, "x")) == 3
    assert document.line_of(("a", 1, "y", "z")) == 5
    assert document.line_of(("a", 1, "nothing", "there")) == 4


@pytest.mark.parametrize(
    ("text", "line"),
    [(b"a: [1\n", 2), (b"a: b\n\tc: d\n", 2), (b"a: !!int x\n", 1), (b"\xff\xfe\xff", 0), (b"a: *nobody\n", 1)],
)
def test_unreadable(text: bytes, line: int) -> None:
    with pytest.raises(Unreadable) as error:
        list(documents(text))
    assert error.value.line == line


def test_too_deep_and_too_many() -> None:
    with pytest.raises(Unreadable):
        list(documents(b"[" * 2000 + b"]" * 2000))
    bomb = "a0: &a0 [x]\n" + "".join(f"a{i}: &a{i} [{','.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 9))
    with pytest.raises(Unreadable):
        list(documents(bomb.encode()))
    with pytest.raises(Unreadable):
        list(documents(b"&a [*a]"))
