"""What a check found: how bad it is, what it is, why it matters, what to do about it."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import NamedTuple

from cricket.errors import PermissionDenied


class Severity(StrEnum):
    """From good to bad. `ERROR`: pods, or some of them, do not work. `WARNING`: something is lost or at risk."""

    OK = "ok"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class Finding(NamedTuple):
    """One sentence each; `command` can be pasted into a root shell. Who runs the check sets `check` and `group`."""

    severity: Severity
    what: str
    why: str = ""
    todo: str = ""
    command: str = ""
    check: str = ""
    group: str = ""
    unseen: bool = False
    """The check could not look, as its user may not."""


Findings = Iterator[Finding]


class Unseen(PermissionDenied):
    """A check may not look at what it wants to see; `where` says at what."""


def ok(what: str) -> Finding:
    """All is well."""
    return Finding(Severity.OK, what)


def info(what: str, why: str = "", todo: str = "", command: str = "") -> Finding:
    """Good to know, nothing to do."""
    return Finding(Severity.INFO, what, why, todo, command)


def warning(what: str, why: str = "", todo: str = "", command: str = "") -> Finding:
    """Something is lost or at risk."""
    return Finding(Severity.WARNING, what, why, todo, command)


def error(what: str, why: str = "", todo: str = "", command: str = "") -> Finding:
    """Pods, or some of them, do not work."""
    return Finding(Severity.ERROR, what, why, todo, command)
