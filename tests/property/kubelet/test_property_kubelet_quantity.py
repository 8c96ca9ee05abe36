"""Quantities: every spelling means what Kubernetes says it means, and nothing else is one."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cricket.errors import InvalidArgument
from cricket.kubelet.quantity import divided, milli, parse, whole

DECIMAL = {"n": -3, "u": -2, "m": -1, "": 0, "k": 1, "M": 2, "G": 3, "T": 4, "P": 5, "E": 6}
BINARY = {"Ki": 1, "Mi": 2, "Gi": 3, "Ti": 4, "Pi": 5, "Ei": 6}
FACTORS = {u: Fraction(1000) ** p for u, p in DECIMAL.items()} | {u: Fraction(1024) ** p for u, p in BINARY.items()}
LARGEST = (1 << 63) - 1

digits = st.from_regex(r"\A([0-9]{1,20}(\.[0-9]{0,12})?|\.[0-9]{1,12})\Z")


def rounded(amount: Fraction) -> Fraction:
    return min(Fraction(math.ceil(amount * 10**9), 10**9), Fraction(LARGEST))


@given(digits, st.sampled_from(sorted(FACTORS)), st.sampled_from(["", "+", "-"]))
def test_units(number: str, unit: str, sign: str) -> None:
    amount = rounded(Fraction(number) * FACTORS[unit])
    assert parse(sign + number + unit) == (-amount if sign == "-" else amount)


@given(digits, st.integers(-30, 30), st.sampled_from("eE"))
def test_exponents(number: str, exponent: int, letter: str) -> None:
    assert parse(f"{number}{letter}{exponent}") == rounded(Fraction(number) * Fraction(10) ** exponent)


@given(st.text(alphabet="0123456789.+-eEimunkKMGTP x", max_size=12))
def test_anything_else_is_refused(text: str) -> None:
    try:
        amount = parse(text)
    except InvalidArgument:
        return
    assert any(c.isdigit() for c in text)
    assert -LARGEST <= amount <= LARGEST
    assert " " not in text and "x" not in text


@given(digits, st.sampled_from(sorted(FACTORS)))
def test_rounding_up(number: str, unit: str) -> None:
    amount = parse(number + unit)
    assert amount <= whole(number + unit) < amount + 1
    assert milli(number + unit) - 1 < amount * 1000 <= milli(number + unit)
    assert divided(amount, "1m") == milli(number + unit)


@pytest.mark.parametrize(
    "text", ["", "1 Gi", "1gi", "Gi", "0x10", "1e", "e3", "--1", "1.2.3", ".", "1Kii", "٣", "1e9999", "NaN", "inf"]
)
def test_refused(text: str) -> None:
    with pytest.raises(InvalidArgument):
        parse(text)


@pytest.mark.parametrize(
    ("text", "amount"),
    [("100m", Fraction(1, 10)), ("1E", 10**18), ("1e3", 1000), ("1E3", 1000), ("12E2", 1200), ("1Ei", 1 << 60),
     ("0.1n", Fraction(1, 10**9)), ("8Ei", LARGEST), ("-0", 0), ("+1.50", Fraction(3, 2)), ("5.", 5)],
)  # fmt: skip
def test_known(text: str, amount: Fraction) -> None:
    assert parse(text) == amount
