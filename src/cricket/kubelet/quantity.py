"""Quantities as Kubernetes spells them: "100m", "1.5", "2Gi", "1e3" (apimachinery, pkg/api/resource)."""

from __future__ import annotations

import math
import re
from fractions import Fraction

from cricket.errors import InvalidArgument

_FORM = re.compile(r"([+-]?)(\d+\.?\d*|\.\d+)(?:(Ki|Mi|Gi|Ti|Pi|Ei|[numkMGTPE]|)|[eE]([+-]?\d{1,3}))", re.ASCII)
_FACTORS = {
    **{
        unit: Fraction(1000) ** power
        for power, unit in enumerate(("n", "u", "m", "", "k", "M", "G", "T", "P", "E"), -3)
    },
    **{unit: Fraction(1024) ** power for power, unit in enumerate(("Ki", "Mi", "Gi", "Ti", "Pi", "Ei"), 1)},
}
_LARGEST = (1 << 63) - 1


def parse(text: str) -> Fraction:
    """The exact amount, rounded away from zero to a billionth, and no more than 2^63-1, as Kubernetes has it. Raises
    InvalidArgument."""
    match = _FORM.fullmatch(text) if len(text) <= 64 else None
    if match is None:
        raise InvalidArgument("this is no quantity", where=text[:64], todo="write it like 500m, 2, 1.5 or 256Mi")
    sign, digits, unit, exponent = match.groups()
    factor = _FACTORS[unit] if unit is not None else Fraction(10) ** int(exponent)
    amount = Fraction(math.ceil(Fraction(digits) * factor * 10**9), 10**9)
    amount = min(amount, Fraction(_LARGEST))
    return -amount if sign == "-" else amount


def whole(text: str) -> int:
    """The amount as a whole number, rounded up: bytes of memory."""
    return math.ceil(parse(text))


def milli(text: str) -> int:
    """The amount in thousandths, rounded up: CPUs."""
    return math.ceil(parse(text) * 1000)


def spelled(amount: Fraction, *, binary: bool) -> str:
    """The amount as Kubernetes would write it: with the largest unit that leaves a whole number, of 1024 when `binary`;
    rounded up to thousandths, and to whole ones when `binary`."""
    if binary:
        number, units = math.ceil(amount), ("", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei")
        at = 0
        while number and number % 1024 == 0 and at < len(units) - 1:
            number, at = number // 1024, at + 1
        return f"{number}{units[at]}"
    thousandths = math.ceil(amount * 1000)
    return f"{thousandths}m" if thousandths % 1000 else str(thousandths // 1000)


def divided(amount: Fraction, divisor: str) -> int:
    """How many times the divisor, rounded up: what resourceFieldRef gives. A divisor of 0 counts as 1."""
    return math.ceil(amount / (parse(divisor) or 1))
