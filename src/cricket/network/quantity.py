"""Kubernetes resource quantities ("10M", "1Gi", "1e6", "1500m") as whole numbers."""

from __future__ import annotations

import re

from cricket.errors import InvalidArgument

_FORM = re.compile(r"\+?([0-9]{0,30})(?:\.([0-9]{0,30}))?(?:[eE]([+-]?[0-9]{1,2})|([numkMGTPE]|[KMGTPE]i))?\Z")
_DECIMAL = {"n": -9, "u": -6, "m": -3, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60}


def parse(text: str) -> int:
    """The value (not negative), rounded up to a whole number as Kubernetes does. Raises InvalidArgument."""
    match = _FORM.match(text) if text.isascii() else None
    whole, fraction, exponent, suffix = match.groups() if match else (None, None, None, None)
    digits = (whole or "") + (fraction or "")
    if not digits:
        raise InvalidArgument(f"{text[:80]!r} is no quantity", todo='Write it like "10M", "512Ki" or "1e6"')
    power = int(exponent or 0) + _DECIMAL.get(suffix or "", 0) - len(fraction or "")
    numerator = int(digits) << _BINARY.get(suffix or "", 0)
    up, down = int(10 ** max(power, 0)), int(10 ** max(-power, 0))
    return -(-numerator * up // down)
