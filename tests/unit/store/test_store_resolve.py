"""Ids by prefix."""

from __future__ import annotations

import pytest

from cricket.errors import InvalidArgument, NotFound
from cricket.store.names import resolve

IDS = {"abc1": None, "abc2": None, "abd": None, "abc": None}


@pytest.mark.parametrize(("prefix", "found"), [("abc", "abc"), ("abc1", "abc1"), ("abd", "abd")])
def test_a_full_id_counts_although_others_begin_with_it(prefix: str, found: str) -> None:
    assert resolve(IDS, prefix, "thing") == found


@pytest.mark.parametrize("prefix", ["", "x", "abc1x", "*"])
def test_what_is_not_there_is_told(prefix: str) -> None:
    with pytest.raises(NotFound, match="no such thing"):
        resolve(IDS, prefix, "thing")


def test_an_ambiguous_prefix_is_refused_with_the_count() -> None:
    with pytest.raises(InvalidArgument, match="4 things"):
        resolve(IDS, "ab", "thing")
