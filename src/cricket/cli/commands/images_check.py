"""Verify every blob and layer of the daemon's image store. Exit code 1 when something is wrong and was not repaired.

Repairing drops what is broken: the next pull fetches it again.
"""

from __future__ import annotations

import argparse

from cricket.cli import options
from cricket.cli.connect import connect
from cricket.cli.forms import print_document
from cricket.cli.output import Styled, print_table

EXAMPLES = """\
  cricket images check
  cricket images check --repair
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    parser.add_argument("--repair", action="store_true", help="drop what is broken")
    options.add_output(parser)
    options.add_client(parser)


def run(args: argparse.Namespace) -> int:
    """Check and print."""
    with connect(args) as client:
        answer = client.call("CheckImages", repair=args.repair)
    printed = print_document(args.output, answer)
    if not printed and not answer.problems:
        print("no problems")
    elif not printed:
        rows = [
            (p.kind, p.name, p.what, Styled(p.outcome, "green") if p.outcome else Styled("left as it is", "red"))
            for p in answer.problems
        ]
        print_table(("KIND", "NAME", "PROBLEM", "OUTCOME"), rows)
    return 1 if any(not problem.outcome for problem in answer.problems) else 0
