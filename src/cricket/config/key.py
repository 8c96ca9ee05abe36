"""The mark beside each configuration key: what it means, and when a change takes effect.

The structs of `model.py` with these marks are the one table from which the default file, docs/configuration.md, the
validation and the reload plan are made.
"""

from __future__ import annotations

import msgspec


class Key(msgspec.Struct, frozen=True):
    """`doc` is for people; `live` says that SIGHUP applies a change, without it a restart does.

    `choices`, `low` and `high` (inclusive) limit the value; `absolute` wants an absolute path (or paths; "" passes when
    it is the default); `octal` is how a number is shown.
    """

    doc: str
    live: bool = False
    choices: tuple[str, ...] = ()
    low: float | None = None
    high: float | None = None
    absolute: bool = False
    octal: bool = False


def live(
    doc: str,
    *,
    choices: tuple[str, ...] = (),
    low: float | None = None,
    high: float | None = None,
    absolute: bool = False,
) -> Key:
    """A key whose change SIGHUP applies, to what is made from then on."""
    return Key(doc, True, choices, low, high, absolute)
