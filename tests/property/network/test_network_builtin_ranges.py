"""In which order host-local tries addresses: against the standard plugin's iterator, told again step by step."""

from __future__ import annotations

from collections.abc import Iterator

from hypothesis import given
from hypothesis import strategies as st

from cricket.network.builtin.addresses import unpack
from cricket.network.builtin.base import Refused
from cricket.network.builtin.host_local_ranges import Range, RangeConf, RangeSet, candidates, range_of, range_sets


def stepwise(ranges: RangeSet, last: int | None) -> Iterator[tuple[Range, int]]:
    """One step at a time, until the address is met again that came first."""
    index, current, begin = 0, None, None  # type: int, int | None, int | None
    for i, r in enumerate(ranges):
        if last is not None and r.first <= last <= r.last:
            index, current = i, last
            break
    while True:
        if current is None:
            current = begin = ranges[index].first
        else:
            if current == ranges[index].last:
                index = (index + 1) % len(ranges)
                current = ranges[index].first
            else:
                current += 1
            if begin is None:
                begin = current
            elif current == begin:
                return
        if current != ranges[index].gateway:
            yield ranges[index], current


@st.composite
def sets(draw: st.DrawFn) -> RangeSet:
    count = draw(st.integers(1, 3))
    written = []
    for i in range(count):
        start, end = sorted((draw(st.integers(1, 14)), draw(st.integers(1, 14))))
        gateway = draw(st.integers(0, 15))
        written.append(RangeConf(f"10.0.{i}.0/28", f"10.0.{i}.{start}", f"10.0.{i}.{end}", f"10.0.{i}.{gateway}"))
    [found] = range_sets([written])
    return found


@given(sets(), st.one_of(st.none(), st.tuples(st.integers(0, 3), st.integers(0, 15))))
def test_same_order_as_the_standard_plugin(ranges: RangeSet, last: tuple[int, int] | None) -> None:
    packed = None if last is None else bytes((10, 0, *last))
    number = None if packed is None else int.from_bytes(packed, "big")
    assert list(candidates(ranges, packed)) == list(stepwise(ranges, number))


@given(sets())
def test_every_address_once(ranges: RangeSet) -> None:
    tried = [n for _, n in candidates(ranges, None)]
    expected = {n for r in ranges for n in range(r.first, r.last + 1) if n != r.gateway}
    assert len(tried) == len(set(tried)) and set(tried) == expected
    for r, n in candidates(ranges, None):
        assert range_of(ranges, r.cidr(n).address) is r


@given(st.lists(st.lists(st.builds(RangeConf, *[st.text("0123456789./:af", max_size=12)] * 4), max_size=2), max_size=3))
def test_nonsense_is_refused(written: list[list[RangeConf]]) -> None:
    try:
        for ranges in range_sets(written):
            for r in ranges:
                assert r.first <= r.last and unpack(r.cidr(r.first).address)
    except Refused:
        pass
