"""Doing one thing to several objects: each is told when done, one that fails does not stop the others."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable

from cricket.cli.errors import OK, complain, one_line
from cricket.cli.forms import for_people, print_document
from cricket.errors import CricketError


def each(args: argparse.Namespace, names: Iterable[str], act: Callable[[str], str]) -> int:
    """Call `act` with each name and print what it returns (an id); returns the exit code of the first failure."""
    status, report = OK, []
    for name in dict.fromkeys(names):
        try:
            done = act(name)
        except CricketError as error:
            code = complain(error)
            status = status or code
            report.append({"name": name, "error": one_line(error)})
        else:
            report.append({"name": name, "id": done})
            if for_people(args.output):
                print(done, flush=True)
    print_document(args.output, report)
    return status
