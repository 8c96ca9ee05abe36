"""Measure how long commands take from exec to exit; with a daemon that answers, also one that asks it."""

from __future__ import annotations

import argparse
import os

from cricket.cli import options
from cricket.cli.output import print_table

EXAMPLES = """\
  cricket bench cli
  cricket bench cli --runs 30
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    parser.add_argument("--runs", type=int, default=10, help="runs of each command (default: 10)")
    options.add_output(parser)
    options.add_client(parser)


def run(args: argparse.Namespace) -> int:
    """Measure and print."""
    import msgspec

    from cricket.bench import cli

    endpoint = options.endpoint(args)
    answers = os.path.exists(endpoint.removeprefix("unix://"))
    found = cli.starts(endpoint if answers else "", args.runs)
    if args.output == "json":
        print(msgspec.json.encode([{"command": c, "min_ms": low, "median_ms": mid} for c, low, mid in found]).decode())
    else:
        print_table(
            ("COMMAND", "MIN ms", "MEDIAN ms"),
            [(c, f"{low:.1f}", f"{mid:.1f}") for c, low, mid in found],
            right="MIN ms MEDIAN ms",
        )
    return 0
