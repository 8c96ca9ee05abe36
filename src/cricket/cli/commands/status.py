"""Show whether runtime and network are ready, and what the runtime handlers can do. Exit code 1 when one is not.

With -v also what the runtime says of itself.
"""

from __future__ import annotations

import argparse
from typing import Any

from cricket.cli import options
from cricket.cli.connect import connect
from cricket.cli.forms import print_document
from cricket.cli.output import Styled, parsed, plain, print_table, print_tree

EXAMPLES = """\
  cricket status
  cricket status -v
  cricket status -o jsonpath='{.status.conditions[?(@.type=="NetworkReady")].status}'
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    options.add_output(parser)
    options.add_client(parser)


def run(args: argparse.Namespace) -> int:
    """Ask and print."""
    with connect(args) as client:
        answer = client.call("Status", verbose=getattr(args, "verbose", False))
    if not print_document(args.output, plain(answer) | {"info": parsed(answer.info)}):
        _print(answer)
    return 0 if all(c.status for c in answer.status.conditions if c.type in ("RuntimeReady", "NetworkReady")) else 1


def _print(answer: Any) -> None:
    rows = [
        (c.type, Styled("yes", "green") if c.status else Styled("no", "red"), c.reason, c.message)
        for c in answer.status.conditions
    ]
    print_table(("CONDITION", "READY", "REASON", "MESSAGE"), rows)
    if answer.runtime_handlers:
        print()
        handlers = [
            (
                handler.name or "(default)",
                "yes" if handler.features.recursive_read_only_mounts else "no",
                "yes" if handler.features.user_namespaces else "no",
            )
            for handler in answer.runtime_handlers
        ]
        print_table(("HANDLER", "RECURSIVE READ-ONLY", "USER NAMESPACES"), handlers)
    else:
        print("\nthis runtime does not tell its handlers and what they can do")
    if answer.info:
        print()
        print_tree(parsed(answer.info))
