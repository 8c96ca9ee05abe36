"""Errors as the command line shows them: one line on standard error, and an exit code that scripts can use."""

from __future__ import annotations

import sys

from cricket.client.errors import EndpointError, UnreachableError
from cricket.errors import Code, CricketError, InvalidArgument

OK, FAILED, USAGE, NOT_FOUND, UNREACHABLE = 0, 1, 2, 3, 4
INTERRUPTED, BROKEN_PIPE = 130, 141
"""As a shell shows death by SIGINT and SIGPIPE."""


class UsageError(InvalidArgument):
    """The command line itself is wrong."""


def exit_code(error: CricketError) -> int:
    """The exit code that stands for an error."""
    if isinstance(error, UsageError | EndpointError):
        return USAGE
    if isinstance(error, UnreachableError):
        return UNREACHABLE
    return NOT_FOUND if error.code is Code.NOT_FOUND else FAILED


def one_line(error: CricketError) -> str:
    """`what (where): cause: todo`, whatever newlines the parts hold."""
    text = str(error)
    if error.todo:
        text = f"{text.removesuffix(error.todo).removesuffix(' ').removesuffix('.')}: {error.todo}"
    return " ".join(text.split())


def complain(error: CricketError) -> int:
    """Write the line to standard error; returns the exit code."""
    sys.stdout.flush()
    print(f"cricket: {one_line(error)}", file=sys.stderr, flush=True)
    return exit_code(error)
