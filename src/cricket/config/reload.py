"""What SIGHUP can apply: the changes between two configurations, sorted by when they take effect."""

from __future__ import annotations

from typing import Any

import msgspec

from cricket.config.merge import flatten, nest
from cricket.config.model import Config
from cricket.config.table import entry_of


class Change(msgspec.Struct, frozen=True):
    """A key whose value differs; None stands for a key of a handler that is not there."""

    key: str
    old: Any
    new: Any


class Plan(msgspec.Struct, frozen=True):
    """`config` is what is in force after the reload: the new values of `applied`, the old ones of `needs_restart`."""

    config: Config
    applied: tuple[Change, ...]
    needs_restart: tuple[Change, ...]


def plan(old: Config, new: Config) -> Plan:
    """Compare the configuration in force with the one just read.

    A handler that comes or goes waits for a restart as all of its keys do: what a runtime can do is found out at start.
    """
    before, after = flatten(msgspec.to_builtins(old)), flatten(msgspec.to_builtins(new))
    applied, held, result = [], [], dict(after)
    for key in sorted(before.keys() | after.keys()):
        change = Change(key, before.get(key), after.get(key))
        if change.old == change.new:
            continue
        entry = entry_of(key)
        if entry is None or entry.key.live:
            applied.append(change)
            continue
        held.append(change)
        if key in before:
            result[key] = change.old
        else:
            del result[key]
    return Plan(msgspec.convert(nest(result), Config), tuple(applied), tuple(held))
